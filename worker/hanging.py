"""Runs work that may hang in the kernel for ever, such as the sync of a disk that does not answer."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
AT_ONCE: Final = 4
"""Threads, hung ones included: they cannot be ended, and must not pile up."""


class HangingThreads:
    """Does such work in threads of its own, a limited number; none of them delays the end of the process."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._places = asyncio.Semaphore(at_once)

    async def run(self, work: Callable[[], _T], deadline_s: float) -> _T:
        """Return what `work` returns, or raise what it raises.

        Raises TimeoutError after `deadline_s` seconds, even if no thread was free; the thread goes on.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()
        async with asyncio.timeout(deadline_s):
            await self._places.acquire()
            thread = Thread(target=self._work, args=(loop, done, work), name="may hang", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._places.release()
                raise
            return await done

    def _work(
        self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[_T], work: Callable[[], _T]
    ) -> None:
        result: Any = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            failure = error
        with suppress(RuntimeError):  # The loop has ended, so nobody waits any more.
            loop.call_soon_threadsafe(self._finish, done, result, failure)

    def _finish(self, done: asyncio.Future[_T], result: _T, failure: Exception | None) -> None:
        self._places.release()
        if done.done():
            return
        if failure is None:
            done.set_result(result)
        else:
            done.set_exception(failure)
