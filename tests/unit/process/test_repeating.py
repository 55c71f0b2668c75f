"""What a worker does on its own: it is begun again after every failure, and when it is due but not before."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from worker.errors import EngineUnavailableError
from worker.process.repeating import kept_going, repeatedly

INTERVAL_S = 10.0


class Over(BaseException):
    """Ends what would go on for ever: the test has seen enough."""


class World:
    """A clock that only sleeping moves, and the time when the last pass began."""

    def __init__(self, *failures: Exception, meanwhile: Callable[["World"], None] = lambda _: None) -> None:
        self.now, self.begun_at = 1000.0, 1000.0
        self.runs: list[float] = []
        self.failures = list(failures)
        self._meanwhile = meanwhile

    def clock(self) -> float:
        return self.now

    def due(self) -> float:
        return self.begun_at + INTERVAL_S

    async def run(self) -> None:
        self.begun_at = self.now
        self.runs.append(self.now - 1000)
        if self.failures:
            raise self.failures.pop()

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
    """After known failures, and after those that only a bug causes."""
    assert await runs_of(World(EngineUnavailableError("away"), ValueError("a bug"))) == [10, 20, 30, 40]


async def test_it_goes_on_if_it_is_not_even_known_what_is_due() -> None:
    world = World()
    calm, broken = world.due, [ValueError("a bug")]

    def due() -> float:
        if broken:
            raise broken.pop()
        return calm()

    world.due = due  # type: ignore[method-assign]  # an unexpected bug
    assert await runs_of(world) == [10, 20, 30, 40]


async def test_it_waits_for_as_long_as_somebody_else_does_it() -> None:
    """As long as beat's passes come, the worker begins none of its own."""

    def beat(world: World) -> None:
        world.begun_at = world.now - 1

    assert await runs_of(World(meanwhile=beat)) == []


async def test_what_fails_is_begun_again_later_each_time_and_logged_each_time() -> None:
    """A bug is logged with its traceback; an error of ours with its reason."""
    world = World(*(ValueError("a bug") for _ in range(4)), EngineUnavailableError("away"))
    with capture_logs() as log:
        await kept_going("watcher", world.run, clock=world.clock, sleep=world.sleep)
    assert world.runs == [0, 0.5, 1.5, 3.5, 7.5, 15.5]
    assert [entry["event"] for entry in log] == ["watcher_failed"] * 5
    assert log[0]["reason"] == "away"
    assert all(entry["exc_info"] for entry in log[1:])


async def test_what_went_well_for_a_while_is_begun_again_soon() -> None:
    """However often it failed before."""
    world = World(*(ValueError("a bug") for _ in range(4)))
    run = world.run

    async def work() -> None:
        if len(world.failures) == 1:
            world.now += 3600
        await run()

    async def sleep(seconds: float) -> None:
        world.now += seconds

    await kept_going("watcher", work, clock=world.clock, sleep=sleep)
    assert world.runs[-1] - world.runs[-2] == 0.5
