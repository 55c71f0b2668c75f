"""What pods have on the disk is measured now and then, and told with its age."""

from collections.abc import Collection, Mapping
from typing import Final

import pytest
from structlog.testing import capture_logs

from config.tiers import TIER_STORAGE
from tests.support.fake_store import FakeStore
from tests.support.situations import COPIED, MINE, ON_POOL, OWN, SYSTEM, pod, tombstone
from worker.errors import OutcomeUnknownError
from worker.interfaces import DiskUse
from worker.pods.model import Record, System
from worker.pods.observation import ObservedSize
from worker.pool.errors import PoolMissingError
from worker.process.disk_watch import DiskWatch, volumes_on_disk

EVERY_S: Final = 300.0


class Host:
    """A clock, a store, and volumes."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.now, self.took_s = 1000.0, 1.0
        self.asked: list[str] = []
        self.sizes: Mapping[str, int | None] | None = {}
        self.pool: Mapping[str, ObservedSize] | None = {}
        self.watch = DiskWatch(
            host="here",
            store=self.store,
            measure=self.measure,
            installation=OWN,
            every_s=EVERY_S,
            on_pool=self.on_pool,
            clock=lambda: self.now,
            wall=lambda: self.now + 10**9,
        )

    async def on_pool(self) -> Mapping[str, ObservedSize]:
        if self.pool is None:
            raise PoolMissingError("it is not mounted")
        return self.pool

    async def measure(self, names: Collection[str]) -> Mapping[str, int | None] | None:
        self.asked = list(names)
        self.now += self.took_s
        return self.sizes


@pytest.fixture
def host() -> Host:
    made = Host()
    made.store.records["a"] = pod()
    return made


async def test_a_pod_has_what_all_its_volumes_take(host: Host) -> None:
    names = volumes_on_disk(host.store.records["a"])
    assert len(names) > 1
    host.sizes = dict.fromkeys(names, 5)
    await host.watch.measure()
    limit = TIER_STORAGE["dev.small"]
    assert host.watch.of("a") == DiskUse(used=5 * len(names), limit=limit, measured_at=10**9 + 1001.0)
    assert host.watch.total() == 5 * len(names)
    assert host.watch.of("b") is None


@pytest.mark.parametrize(("system", "left_out"), [(SYSTEM, {"usr"}), (COPIED, set()), (None, set())])
def test_overlays_are_left_out_as_they_only_show_what_others_hold(
    system: System | None, left_out: set[str]
) -> None:
    record = pod(system=system)
    shown = {each.name for each in record.state.layout}
    held = {name.removeprefix("pinacle-vol-a-") for name in volumes_on_disk(record)}
    assert shown - held == left_out
    assert ("system" in held) == (system is SYSTEM), "the pod's own layers are what it has"


async def test_pods_of_others_and_deleted_ones_are_not_measured(host: Host) -> None:
    host.store.records["away"] = pod().evolve(pod_id="away", host="elsewhere")
    host.store.records["gone"] = tombstone(host="here").evolve(pod_id="gone")
    await host.watch.measure()
    assert all(name.startswith("pinacle-vol-a-") for name in host.asked)


async def test_a_host_without_pods_has_nothing_on_the_disk(host: Host) -> None:
    """That is known, other than before the first measurement."""
    host.store.records.clear()
    assert host.watch.total() is None
    await host.watch.measure()
    assert host.watch.total() == 0


async def test_a_pod_with_a_volume_that_is_not_known_has_no_sum(host: Host) -> None:
    """And the others have theirs."""
    host.store.records["b"] = pod().evolve(pod_id="b")
    mine, theirs = (volumes_on_disk(host.store.records[each]) for each in ("a", "b"))
    host.sizes = {**dict.fromkeys(theirs, 1), **dict.fromkeys(mine, 1), mine[0]: None}
    await host.watch.measure()
    assert host.watch.of("a") is None
    assert host.watch.total() == len(theirs)


async def test_long_measurements_are_rare(host: Host) -> None:
    await host.watch.measure()
    assert host.watch.due_at == 1000.0 + EVERY_S
    host.now, host.took_s = 2000.0, 100.0
    await host.watch.measure()
    assert host.watch.due_at == 2000.0 + 2100.0


async def test_a_failure_leaves_what_was_known_and_what_cannot_be_seen_is_unknown(host: Host) -> None:
    host.sizes = dict.fromkeys(volumes_on_disk(host.store.records["a"]), 5)
    await host.watch.measure()
    known = host.watch.of("a")

    async def fails(_names: Collection[str]) -> None:
        raise OutcomeUnknownError("no")

    host.watch._measure = fails
    with pytest.raises(OutcomeUnknownError):
        await host.watch.measure()
    assert host.watch.of("a") == known
    assert host.watch.due_at > host.now

    host.watch._measure = host.measure
    host.sizes = None
    await host.watch.measure()
    assert (host.watch.of("a"), host.watch.total()) == (None, None)


def pooled(pod_id: str) -> Record:
    return pod(system=ON_POOL, subvolume=MINE).evolve(pod_id=pod_id)


async def test_what_a_pod_keeps_on_a_pool_is_known_without_a_walk(host: Host) -> None:
    """Also where the worker does not see the Engine's disk; a pool that cannot be asked says nothing."""
    host.store.records["p"] = pooled("p")
    size = ObservedSize(used=3, limit=4)
    host.pool = {"p": size, "a stranger's": size}
    for sizes, others in (({}, 0), (None, 0), (dict.fromkeys(volumes_on_disk(pod()), 1), 8)):
        host.sizes = sizes
        await host.watch.measure()
        found = host.watch.of("p")
        assert found is not None
        assert (found.used, found.limit) == (3, 4)
        assert host.watch.total() == 3 + others
        assert not any("vol-p-" in name for name in host.asked)
    assert (await host.store.uses(["here"])).keys() == {"a", "p"}
    host.pool = None
    await host.watch.measure()
    assert host.watch.of("p") is None
    assert host.watch.total() == 8


async def test_pods_near_their_limit_are_counted(host: Host) -> None:
    assert host.watch.near_limit() == {"80": 0.0, "95": 0.0}
    uses = {"a": 79, "b": 80, "c": 94, "d": 95, "e": 100}
    host.store.records = {pod_id: pooled(pod_id) for pod_id in (*uses, "f")}
    host.pool = {pod_id: ObservedSize(used=used, limit=100) for pod_id, used in uses.items()}
    host.pool = {**host.pool, "f": ObservedSize(used=1000, limit=None)}
    await host.watch.measure()
    assert host.watch.near_limit() == {"80": 4.0, "95": 2.0}


async def test_pods_with_docker_s_own_volumes_are_told_likewise(host: Host) -> None:
    """Nothing ends them at their limit, so it matters even more that somebody hears of it."""
    names = volumes_on_disk(host.store.records["a"])
    limit = TIER_STORAGE["dev.small"]
    host.sizes = {**dict.fromkeys(names, 0), names[0]: 2 * limit}
    with capture_logs() as logs:
        await host.watch.measure()
    assert [each["percent"] for each in logs if each["event"] == "pod_near_its_limit"] == [200]
    assert host.watch.near_limit() == {"80": 1.0, "95": 1.0}


async def test_each_pod_is_told_once_when_it_comes_near_its_limit(host: Host) -> None:
    host.store.records = {"p": pooled("p")}
    with capture_logs() as logs:
        for used in (70, 81, 85, 96, 99, 50, 96):
            host.pool = {"p": ObservedSize(used=used, limit=100)}
            await host.watch.measure()
    told = [each["percent"] for each in logs if each["event"] == "pod_near_its_limit"]
    assert told == [81, 96, 96]


async def test_pods_over_their_limit_are_stopped_if_that_is_asked_for(host: Host) -> None:
    """One that cannot be stopped keeps no other from it; one that was changed since is measured first."""
    limit = TIER_STORAGE["dev.small"]
    host.store.records = {pod_id: pod().evolve(pod_id=pod_id) for pod_id in ("a", "b", "c", "d")}
    host.sizes = {}
    for pod_id, used in (("a", limit + 1), ("b", limit + 1), ("c", limit), ("d", limit + 1)):
        names = volumes_on_disk(host.store.records[pod_id])
        host.sizes = {**host.sizes, **dict.fromkeys(names, 0), names[0]: used}
    await host.watch.measure()
    stopped = []

    async def stop(pod_id: str, reason: str) -> None:
        if pod_id == "a":
            raise OutcomeUnknownError("no answer")
        stopped.append((pod_id, reason))

    async def measure(names: Collection[str]) -> Mapping[str, int | None] | None:
        changed = host.store.records["d"]
        generation = changed.intent.generation + 1
        host.store.records["d"] = changed.evolve(intent=changed.intent.evolve(generation=generation))
        return await host.measure(names)

    host.watch._stop, host.watch._measure = stop, measure
    await host.watch.measure()
    ((pod_id, reason),) = stopped
    assert pod_id == "b"
    assert "PINACLE_SOFT_QUOTA" in reason
