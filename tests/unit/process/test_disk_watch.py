"""What pods have on the disk is measured now and then, and told with its age."""

from collections.abc import Collection, Mapping
from typing import Final

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import COPIED, SYSTEM, pod, tombstone
from worker.errors import OutcomeUnknownError
from worker.pods.model import System
from worker.process.disk_watch import DiskWatch, OnDisk, volumes_on_disk

EVERY_S: Final = 300.0


class Host:
    """A clock, a store, and volumes."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.now, self.took_s = 1000.0, 1.0
        self.asked: list[str] = []
        self.sizes: Mapping[str, int | None] | None = {}
        self.watch = DiskWatch(
            host="here",
            store=self.store,
            measure=self.measure,
            every_s=EVERY_S,
            clock=lambda: self.now,
            wall=lambda: self.now + 10**9,
        )

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
    assert host.watch.of("a") == OnDisk(used=5 * len(names), measured_at=10**9 + 1001.0)
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
