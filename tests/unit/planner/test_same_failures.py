"""What fails in the same way each time for one pod is the pod's fault; what fails for all is the host's."""

from collections import Counter
from collections.abc import Callable

import aiodocker
import pytest

from tests.properties.test_convergence import World
from worker.docker.failures import explain
from worker.errors import EngineFailedError, EngineUnavailableError, OutcomeUnknownError, PodError
from worker.planner.sameness import OFTEN, plain
from worker.pods.model import Phase
from worker.pods.requests import Create, Restart, Stop
from worker.pods.spec import PodSpec
from worker.reconcile.peers import Peers

WORDS = "container_start: the Engine failed with 500: no such thing as a flux capacitor in "
Fault = Callable[[str, int], PodError | None]
"""By pod and how often its start was tried."""


class Bench:
    """A world in which the starts of some pods fail."""

    def __init__(self, fault: Fault) -> None:
        self.world = World(seed=1, cuts=Counter())
        self.fault = fault
        self.tries: Counter[str] = Counter()
        self.world.engine.before = self._before
        self._at_work = ""

    def _before(self, operation: str) -> None:
        if operation == "container_start":
            self.tries[self._at_work] += 1
            error = self.fault(self._at_work, self.tries[self._at_work])
            if error is not None:
                raise error

    async def create(self, *pods: str) -> None:
        for pod_id in pods:
            await self.world.request(pod_id, Create(spec=PodSpec(image="image")))

    async def work(self, pod_id: str, times: int = 1) -> Phase:
        """Reconcile a pod `times` times, each time when it is due; return its phase."""
        for _ in range(times):
            self._at_work = pod_id
            self.world.pass_time(40.0)
            await self.world.reconciler.reconcile(pod_id)
        return self.phase(pod_id)

    def phase(self, pod_id: str) -> Phase:
        return self.world.store.records[pod_id].state.phase

    def reason(self, pod_id: str) -> str:
        return self.world.store.records[pod_id].state.reason or ""


def words(pod_id: str, number: int) -> PodError:
    """Return what the Engine says, with ids and numbers that differ each time."""
    return EngineFailedError(f"{WORDS} pinacle-pod-{pod_id} {number:064x}, process {number}")


async def test_the_same_failure_of_one_pod_fails_it_with_the_engines_words() -> None:
    """Whatever the words are; until then it is pending, and a new intent is tried at once."""
    bench = Bench(words)
    await bench.create("a")
    assert await bench.work("a", OFTEN - 1) is Phase.PENDING
    assert await bench.work("a") is Phase.FAILED
    assert "no such thing as a flux capacitor" in bench.reason("a")
    await bench.world.request("a", Restart())
    await bench.work("a")
    assert bench.phase("a") is Phase.PENDING, "a new intent begins to count again"


async def test_a_failed_pod_runs_within_a_minute_after_its_failure_is_fixed() -> None:
    """It may have been the host's fault after all."""
    bench = Bench(words)
    await bench.create("a")
    assert await bench.work("a", OFTEN) is Phase.FAILED
    bench.fault = lambda _pod, _tries: None
    state = bench.world.store.records["a"].state
    assert state.retry_at - bench.world.now <= 40
    assert await bench.work("a") is Phase.RUNNING
    assert bench.world.store.records["a"].state.failure is None


async def test_what_fails_for_all_pods_fails_none_however_long_it_lasts() -> None:
    """Not even the first of them after a restart of the worker."""
    bench = Bench(words)
    await bench.create("a", "ab")
    for _ in range(3 * OFTEN):
        for pod_id in ("a", "ab"):
            assert await bench.work(pod_id) is Phase.PENDING
    bench.world.reconciler = bench.world._new_process()
    for _ in range(OFTEN):
        for pod_id in ("a", "ab"):
            assert await bench.work(pod_id) is Phase.PENDING
    bench.fault = lambda _pod, _tries: None
    for pod_id in ("a", "ab"):
        assert await bench.work(pod_id) is Phase.RUNNING


async def test_two_pods_with_the_same_fault_fail_once_the_engine_starts_another() -> None:
    bench = Bench(lambda pod_id, number: None if pod_id == "a-b" else words(pod_id, number))
    await bench.create("a", "ab", "a-b")
    for pod_id in ("a", "ab") * OFTEN:
        await bench.work(pod_id)
    assert (bench.phase("a"), bench.phase("ab")) == (Phase.PENDING, Phase.PENDING)
    assert await bench.work("a-b") is Phase.RUNNING
    assert await bench.work("a") is Phase.FAILED
    assert await bench.work("ab") is Phase.FAILED


@pytest.mark.parametrize(
    "error",
    [
        EngineUnavailableError("container_start: the Engine at unix:///x cannot be reached"),
        OutcomeUnknownError("container_start: the Engine gave no answer within 10 s"),
        explain("container_start", "", aiodocker.DockerError(500, "write /x: no space left on device")),
        explain("container_start", "", aiodocker.DockerError(500, "dial unix containerd.sock: nobody")),
    ],
)
async def test_an_outage_fails_no_pod_however_long(error: PodError) -> None:
    bench = Bench(lambda _pod, _tries: error)
    await bench.create("a")
    for _ in range(3 * OFTEN):
        assert await bench.work("a") is Phase.PENDING


async def test_an_outage_in_between_counts_for_nothing() -> None:
    """It does not speak for or against the pod."""
    outage = EngineUnavailableError("container_start: the Engine cannot be reached")
    bench = Bench(lambda pod_id, number: words(pod_id, number) if number % 2 else outage)
    await bench.create("a")
    assert await bench.work("a", 2 * OFTEN - 2) is Phase.PENDING
    assert await bench.work("a") is Phase.FAILED


async def test_other_words_each_time_are_no_repetition() -> None:
    bench = Bench(lambda _pod, number: EngineFailedError("reason " + "abcdefgh"[number % 8]))
    await bench.create("a")
    assert await bench.work("a", 3 * OFTEN) is Phase.PENDING


async def test_a_stop_that_fails_does_not_fail_the_pod() -> None:
    """It should stop, and this goes on trying."""
    bench = Bench(lambda _pod, _tries: None)
    await bench.create("a")
    await bench.work("a")
    await bench.world.request("a", Stop())

    def refuse(operation: str) -> None:
        if operation == "container_stop":
            raise EngineFailedError("container_stop: it did not get an exit event")

    bench.world.engine.before = refuse
    assert await bench.work("a", 2 * OFTEN) is Phase.PENDING


def test_texts_are_compared_without_what_is_another_each_time() -> None:
    # It is recorded, and compared with what a later version makes of the next failure.
    assert plain("Start 12 of pinacle-pod-a: pinacle-vol-a-home", "a") == "start N of pod: volume-home"
    one = plain(f"start {1:064x} of pinacle-pod-a failed at 12:01: pinacle-vol-a-home", "a")
    assert one == plain(f"start {2:064x} of pinacle-pod-b failed at 13:45: pinacle-vol-b-home", "b")
    assert one != plain(f"start {2:064x} of pinacle-pod-b failed at 13:45: pinacle-vol-b-root", "b")


def test_what_happened_long_ago_to_another_pod_does_not_matter() -> None:
    now = 0.0
    peers = Peers(clock=lambda: now)
    peers.failed("b", "start", "text")
    now = 1000.0
    for _ in range(2):
        peers.failed("a", "start", "text")
    assert peers.is_own("a", "start", "text")
