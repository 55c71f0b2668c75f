"""Takes turns with what loads the Engine most: only a few pods are made at a time.

An Engine makes 20 pods in the same time whether it gets a few or all 20 at once. But then none is ready
before nearly all are, and whatever else is asked of the Engine waits as long.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from worker.planner.steps import BeginFill, StartContainer, Step

PATIENCE_S: Final = 15.0
"""How long a pod waits for its turn: those whose turn it is may hang, and are not to hold up all others."""


class Turn:
    """One pod's place among those that are made: first come, first served."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places = places
        self._has_place = False

    async def begin(self) -> None:
        """Wait for a place, unless there is one already; if none comes in time, go on without."""
        if not self._has_place:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    self._has_place = await self._places.acquire()

    def end(self) -> None:
        """Give the place back, if there is one."""
        if self._has_place:
            self._has_place = False
            self._places.release()


def begin_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a new pod is made from here on. One that only gets another container may be stopped by now."""
    return any(isinstance(step, BeginFill) for step in steps)


def end_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a pod is ready after these steps."""
    return any(isinstance(step, StartContainer) for step in steps)
