"""One answer for all who ask the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from worker.cancelling import end

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """A call whose answer everybody gets who asked before it was sent.

    Nobody gets an answer that is older than the question: a caller that asks during a call waits for the
    next one, together with all who ask meanwhile. So many at once cost two calls at most, one by one each
    has a call of its own.
    """

    def __init__(self, call: Callable[[], Awaitable[_T]]) -> None:
        self._call = call
        self._under_way: asyncio.Task[_T] | None = None
        self._next: asyncio.Task[_T] | None = None
        self._sent_at = 0.0

    def busy_s(self) -> float:
        """Return for how many seconds a call is under way, 0 where none is."""
        if self._under_way is None or self._under_way.done():
            return 0.0
        return asyncio.get_running_loop().time() - self._sent_at

    async def get(self) -> _T:
        """Return the answer to a call that was sent after this was asked. Raises what the call raises."""
        if self._next is None:
            self._next = asyncio.create_task(self._send(self._under_way))
            self._next.add_done_callback(_notice)
        # A cancelled caller gives up alone: the others still wait for this call.
        return await asyncio.shield(self._next)

    async def close(self) -> None:
        """End what is under way; its callers are told by a CancelledError."""
        await end(task for task in (self._under_way, self._next) if task is not None)

    async def _send(self, before: asyncio.Task[_T] | None) -> _T:
        if before is not None:
            await asyncio.wait([before])
        self._under_way, self._next = self._next, None
        self._sent_at = asyncio.get_running_loop().time()
        return await self._call()


def _notice(task: asyncio.Task[Any]) -> None:
    """Look at a failure, so that asyncio does not complain where all who asked have given up."""
    if not task.cancelled():
        task.exception()
