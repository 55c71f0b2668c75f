"""What a worker does again and again: when it is due, and not when somebody else has done it."""

from collections.abc import Callable

import pytest

from worker.errors import EngineUnavailableError
from worker.runtime import repeatedly

INTERVAL_S = 10.0


class Over(Exception):  # noqa: N818 - no error: the test has seen enough
    """Ends what would go on for ever."""


class World:
    """A clock that only sleeping moves, and passes that note when the last one was begun."""

    def __init__(self, *failures: Exception, meanwhile: Callable[["World"], None] = lambda _: None) -> None:
        self.now, self.begun_at = 1000.0, 1000.0
        self.runs: list[float] = []
        self._failures = list(failures)
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def due(self) -> float:
        return self.begun_at + INTERVAL_S

    async def run(self) -> None:
        self.begun_at = self.now
        self.runs.append(self.now - 1000)
        if self._failures:
            raise self._failures.pop()

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        if self.now > 1000 + 4 * INTERVAL_S:
            raise Over
        self._meanwhile(self)


async def runs_of(world: World) -> list[float]:
    with pytest.raises(Over):
        await repeatedly("pass", world.run, world.due, clock=world.clock, sleep=world.sleep)
    return world.runs


async def test_it_goes_on_after_every_failure() -> None:
    """Of a known kind, and of one that only a bug has."""
    assert await runs_of(World(EngineUnavailableError("away"), ValueError("a bug"))) == [10, 20, 30, 40]


async def test_it_waits_for_as_long_as_somebody_else_does_it() -> None:
    """As long as beat's passes come, the worker begins none of its own."""

    def beat(world: World) -> None:
        world.begun_at = world.now - 1

    assert await runs_of(World(meanwhile=beat)) == []
