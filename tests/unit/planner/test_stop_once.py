"""A stop is sent once for a run of a container, whatever happens to the call or the worker."""

from collections import Counter
from collections.abc import Callable

import pytest

from tests.properties.test_convergence import World
from worker.errors import EngineFailedError, EngineUnavailableError, OutcomeUnknownError, PodError
from worker.pods.model import Phase
from worker.pods.requests import Create, Restart, Start, Stop
from worker.pods.spec import PodSpec

OnStop = Callable[[], Exception | None]


class KilledError(Exception):
    """Stands for the end of the process."""


class Bench:
    """A running pod, and an Engine on which stops end as a test says."""

    def __init__(self) -> None:
        self.world = World(seed=1, cuts=Counter())
        self.stops = 0
        self.on_stop: OnStop = lambda: None
        self.world.engine.before = self._before

    def _before(self, operation: str) -> None:
        if operation == "container_stop":
            self.stops += 1
            error = self.on_stop()
            if error is not None:
                raise error

    async def run(self) -> None:
        await self.world.request("a", Create(spec=PodSpec(image="image", stop_timeout_s=60)))
        await self.work(0.0)

    async def work(self, seconds: float = 1.0) -> Phase:
        self.world.pass_time(seconds)
        outcome = await self.world.reconciler.reconcile("a")
        return outcome.record.state.phase


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.run()
    return bench


async def test_a_stop_without_an_answer_is_waited_for(bench: Bench) -> None:
    """Until its time and a margin are over; then the Engine has lost it, and it is sent again."""
    bench.on_stop = lambda: OutcomeUnknownError("no answer within 10 s")
    await bench.world.request("a", Stop())
    assert [await bench.work() for _ in range(20)] == [Phase.PENDING] * 20
    assert bench.stops == 1
    bench.world.reconciler = bench.world._new_process()
    assert await bench.work(40.0) is Phase.PENDING
    assert bench.stops == 1
    bench.on_stop = lambda: None
    assert await bench.work(30.0) is Phase.STOPPED
    assert bench.stops == 2


async def test_a_stop_that_was_waited_for_is_over_when_the_container_has_ended(bench: Bench) -> None:
    """The next one, after it was started again, is sent at once."""
    bench.on_stop = lambda: OutcomeUnknownError("no answer within 10 s")
    await bench.world.request("a", Stop())
    await bench.work()
    bench.world.engine.crash("a", 143)
    assert await bench.work() is Phase.STOPPED
    bench.on_stop = lambda: None
    await bench.world.request("a", Start())
    assert await bench.work() is Phase.RUNNING
    await bench.world.request("a", Stop())
    assert await bench.work() is Phase.STOPPED
    assert bench.stops == 2


async def test_a_forced_restart_starts_once_the_stop_is_over(bench: Bench) -> None:
    bench.on_stop = lambda: OutcomeUnknownError("no answer within 10 s")
    await bench.world.request("a", Restart(force=True))
    assert [await bench.work() for _ in range(3)] == [Phase.PENDING] * 3
    bench.world.engine.crash("a", 137)
    assert await bench.work() is Phase.RUNNING
    assert bench.stops == 1
    assert bench.world.store.records["a"].state.restarts == 0


@pytest.mark.parametrize("kind", [EngineUnavailableError, EngineFailedError])
async def test_a_stop_that_was_not_taken_is_sent_again(bench: Bench, kind: type[PodError]) -> None:
    """Nothing is under way then."""
    bench.on_stop = lambda: kind("it was not done") if bench.stops == 1 else None
    await bench.world.request("a", Stop())
    assert await bench.work() is Phase.PENDING
    assert await bench.work() is Phase.STOPPED
    assert bench.stops == 2


async def test_a_worker_that_is_killed_while_it_sends_a_stop_has_noted_it(bench: Bench) -> None:
    """The next worker does not know whether the Engine is stopping it, and waits."""
    bench.on_stop = KilledError
    await bench.world.request("a", Stop())
    with pytest.raises(KilledError):
        await bench.work()
    bench.world.store.leases.clear()
    bench.world.reconciler = bench.world._new_process()
    assert await bench.work() is Phase.PENDING
    assert bench.stops == 1
