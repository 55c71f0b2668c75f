"""Takes turns with what loads the Engine most: only a few pods are made at a time.

An Engine makes 20 pods in the same time whether it gets a few or all 20 at once. But then none is ready
before nearly all are, and whatever else is asked of the Engine waits as long. So a pod that is there and gets
another container waits for nobody, and fewer new ones are begun meanwhile.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from worker.planner.steps import BeginFill, CreateContainer, StartContainer, Step, StopContainer

PATIENCE_S: Final = 15.0
"""How long a pod waits for its turn: those whose turn it is may hang, and are not to hold up all others."""


class Places:
    """Places for those that load the Engine: first come, first served."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._owed = 0
        """How many have been taken beyond `number`: as many are not given on when they are given back."""

    async def take(self) -> None:
        """Wait for a place."""
        await self._free.acquire()

    async def take_at_once(self) -> None:
        """Take a place even if there is none, so that others wait for longer."""
        if self._free.locked():
            self._owed += 1
        else:
            await self._free.acquire()

    def give_back(self) -> None:
        if self._owed:
            self._owed -= 1
        else:
            self._free.release()


class Turn:
    """One pod's place among those that load the Engine."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._has_place = False

    async def begin(self) -> None:
        """Wait for a place, unless there is one already; if none comes in time, go on without."""
        if not self._has_place:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._places.take()
                    self._has_place = True

    async def begin_at_once(self) -> None:
        """Take a place without waiting, unless there is one already."""
        if not self._has_place:
            await self._places.take_at_once()
            self._has_place = True

    def end(self) -> None:
        """Give the place back, if there is one."""
        if self._has_place:
            self._has_place = False
            self._places.give_back()


def begin_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a new pod is made from here on. One that only gets another container may be stopped by now."""
    return any(isinstance(step, BeginFill) for step in steps)


def change_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a pod that is there gets another container, or its own one again, from here on."""
    return any(isinstance(step, StopContainer | CreateContainer | StartContainer) for step in steps)


def end_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a pod is ready after these steps."""
    return any(isinstance(step, StartContainer) for step in steps)
