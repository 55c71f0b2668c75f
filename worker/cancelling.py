"""The end of tasks of the event loop: cancelled until they have ended."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_S: Final = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and return when all have ended; what they raise is dropped.

    Once is not enough: until Python 3.12 `asyncio.wait_for`, in which redis-py sends, drops a cancellation
    that comes in the moment in which it is done anyway (cpython#86296).
    """
    ended, left = set[asyncio.Task[Any]](), set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_AGAIN_S)
        ended |= done
    await asyncio.gather(*ended, return_exceptions=True)
