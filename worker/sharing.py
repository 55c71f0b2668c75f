"""One answer for all callers that ask the same question at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from worker.cancelling import end

_T = TypeVar("_T")


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


def _notice(task: asyncio.Task[Any]) -> None:
    """Look at a failure, so that asyncio does not complain if all callers have given up."""
    if not task.cancelled():
        task.exception()
