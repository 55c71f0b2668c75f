"""Takes turns with what loads the Engine most: only a few pods are made at a time.

An Engine makes 20 pods in the same time whether it gets a few or all 20 at once. But then none is ready
before nearly all are, and whatever else is asked of the Engine waits as long. So a pod that is there and gets
another container waits for nobody, and those that are being made wait for it before each of their steps.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Final

from worker.planner.steps import BeginFill, CreateContainer, StartContainer, Step, StopContainer

PATIENCE_S: Final = 15.0
"""How long a new pod waits for others' changes: what it waits for may hang."""
HELD_S: Final = 10.0
"""After this time a place counts as free: the pod that has it may hang. If instead all that wait went on once
they had waited for so long, those that came together would also go on together, and be as slow as ever."""


class Places:
    """Places for new pods, first come, first served; and whether too many other pods are being changed."""

    def __init__(self, number: int) -> None:
        """New pods have `number` places, and half as many changes keep them from going on."""
        self._number = number
        self._held: dict[object, float] = {}
        """Places that are taken, and since when, by the event loop's clock."""
        self._queue = asyncio.Lock()
        self._given_back = asyncio.Event()
        self._too_many = max(1, number // 2)
        self._changing = 0
        self._calm = asyncio.Event()
        self._calm.set()

    async def take(self) -> object:
        """Wait for a place, and return it."""
        clock = asyncio.get_running_loop().time
        async with self._queue:
            while len(since := sorted(self._held.values())[-self._number :]) == self._number:
                left = since[0] + HELD_S - clock()
                if left <= 0:
                    break
                self._given_back.clear()
                await _comes(self._given_back.wait(), left)
            place = object()
            self._held[place] = clock()
            return place

    def give_back(self, place: object) -> None:
        del self._held[place]
        self._given_back.set()

    def begin_change(self) -> None:
        self._changing += 1
        if self._changing >= self._too_many:
            self._calm.clear()

    def end_change(self) -> None:
        self._changing -= 1
        if self._changing < self._too_many:
            self._calm.set()

    async def let_changes_pass(self, within_s: float = PATIENCE_S) -> None:
        """Wait until few pods are being changed; if that takes too long, go on."""
        await _comes(self._calm.wait(), within_s)


class Turn:
    """When one pod may load the Engine."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._is_new = self._is_change = False
        self._place: object | None = None
        self._patience_s = PATIENCE_S
        """What is left of it for the changes of others."""

    async def begin(self) -> None:
        """Wait for a place for a new pod."""
        if not self._is_new and not self._is_change:
            self._is_new = True
            self._place = await self._places.take()

    def begin_change(self) -> None:
        """Let new pods wait until this one has been changed."""
        if not self._is_new and not self._is_change:
            self._is_change = True
            self._places.begin_change()

    async def let_changes_pass(self) -> None:
        """Wait, if this pod is new, until few others are being changed; if that takes too long, go on."""
        if self._is_new:
            clock = asyncio.get_running_loop().time
            began = clock()
            await self._places.let_changes_pass(self._patience_s)
            self._patience_s = max(0.0, self._patience_s - (clock() - began))

    def end(self) -> None:
        """Give the place back, if there is one, and let others go on."""
        if self._is_change:
            self._places.end_change()
        if self._place is not None:
            self._places.give_back(self._place)
        self._is_new, self._is_change, self._place = False, False, None


async def _comes(what: Awaitable[object], within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await what


def begin_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a new pod is made from here on. One that only gets another container may be stopped by now."""
    return any(isinstance(step, BeginFill) for step in steps)


def change_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a pod that is there gets another container, or its own one again, from here on."""
    return any(isinstance(step, StopContainer | CreateContainer | StartContainer) for step in steps)


def end_a_pod(steps: Iterable[Step]) -> bool:
    """Whether a pod is ready after these steps."""
    return any(isinstance(step, StartContainer) for step in steps)
