"""One answer for all callers that asked the same question before it was looked for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Final, Generic, NamedTuple, TypeVar

from worker.cancelling import end

_T = TypeVar("_T")
_KEPT_S: Final = 1.0


class Shared(Generic[_T]):
    """A call whose answer goes to all callers that asked before it was sent.

    Nobody gets an answer that is older than the question: a caller that asks during a call waits for the
    next one, together with all others that ask meanwhile. Any number of callers at the same time cost at most
    two calls. Callers that ask one after the other each have their own.
    """

    def __init__(self, call: Callable[[], Awaitable[_T]]) -> None:
        self._call = call
        self._under_way: asyncio.Task[_T] | None = None
        self._next: asyncio.Task[_T] | None = None
        self._sent_at = 0.0

    def busy_s(self) -> float:
        """Return for how many seconds a call has been under way, 0 if none is."""
        if self._under_way is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._sent_at

    async def get(self) -> _T:
        """Return the answer to a call that was sent after this was asked. Raises what the call raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._send(self._under_way))
            self._next.add_done_callback(_notice)
        # Only the cancelled caller gives up: the others still wait for this call.
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """End what is under way; its callers get a CancelledError."""
        await end(task for task in (self._under_way, self._next) if task is not None)

    async def _send(self, before: asyncio.Task[_T] | None) -> _T:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._next = self._next, None
        self._sent_at = asyncio.get_running_loop().time()
        try:
            return await self._call()
        finally:
            # The answer is its callers', who have the task: kept here it would stay until the next one.
            self._under_way = None


class _Answer(NamedTuple):
    begun_at: float
    """By the event loop's clock, which is `time.monotonic`."""
    task: asyncio.Task[Any]


class Answers:
    """Answers to questions that may have waited: those that did get one together.

    Nobody gets an answer that is older than the question. Of a hundred equal ones that wait for a thread, one
    is looked into, and the rest cost nothing. Answers that are older than a second go with the next look.
    """

    def __init__(self) -> None:
        self._answers: dict[Hashable, _Answer] = {}

    async def get(
        self, question: Hashable, look: Callable[[], Coroutine[Any, Any, _T]], *, asked_at: float | None
    ) -> _T:
        """Return an answer that was looked for since `asked_at`, by the clock of `time.monotonic`.

        With None it is looked for now. Raises what `look` raises.
        """
        now = asyncio.get_running_loop().time()
        known = self._answers.get(question)
        if known is None or asked_at is None or known.begun_at < asked_at or known.task.cancelled():
            self._forget(now)
            known = self._answers[question] = _Answer(now, asyncio.create_task(look()))
            known.task.add_done_callback(_notice)
        # Only the cancelled caller gives up: the others still wait for this answer.
        found: _T = await asyncio.shield(known.task)
        return found

    def _forget(self, now: float) -> None:
        old = [question for question, answer in self._answers.items() if answer.begun_at < now - _KEPT_S]
        for question in old:
            del self._answers[question]


def _notice(task: asyncio.Task[Any]) -> None:
    """Look at a failure, so that asyncio does not complain if all callers have given up."""
    if not task.cancelled():
        task.exception()
