"""Ends tasks of the event loop: cancels them until they have ended."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended; what they raise is dropped.

    Cancelling once is not enough: before Python 3.12, `asyncio.wait_for`, which redis-py uses to send, drops
    a cancellation that arrives at the moment when it is done anyway (cpython#86296).
    """
    ended, left = set[asyncio.Task[Any]](), set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_S)
        ended |= done
    await asyncio.gather(*ended, return_exceptions=True)
