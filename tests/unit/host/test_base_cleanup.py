"""Bases are removed once nobody uses them, and not a moment before."""

from dataclasses import replace

from tests.support.fake_engine import FakeEngine, FakeVolume
from worker.host.base_cleanup import BaseCleanup
from worker.host.unused import Unused
from worker.pods import naming
from worker.pods.model import (
    Installation,
    Intent,
    IntentKind,
    PinnedImage,
    PodState,
    Record,
    System,
    SystemMode,
)

OWN = Installation(name="test", network="net")
IMAGE = PinnedImage(reference="image", id="sha256:1")
GRACE_S = 100.0


class Host:
    """One Engine with one base."""

    def __init__(self, grace_s: float = GRACE_S) -> None:
        self.engine, self.now = FakeEngine(), 0.0
        self.cleanup = BaseCleanup(
            engine=self.engine,
            installation=OWN,
            unused=Unused(grace_s=grace_s, clock=lambda: self.now),
        )

    async def base(self) -> System:
        wanted = System(mode=SystemMode.OVERLAY, image=IMAGE)
        return (await self.engine.prepare_system(wanted, {}, attempt="a1")).system

    async def look(self, *records: Record) -> int:
        """Run once; return how many volumes are left."""
        await self.cleanup.run(records, await self.engine.observe_all())
        return len(self.engine.volumes)


def pod(system: System | None) -> Record:
    intent = Intent(kind=IntentKind.STOPPED, generation=1, spec=None)
    return Record(pod_id="a", host="here", intent=intent, state=PodState(system=system))


async def test_a_base_that_a_record_names_stays() -> None:
    host = Host()
    record = pod(await host.base())
    for host.now in (0.0, 1000.0):
        assert await host.look(record) == 2


async def test_a_base_that_nobody_names_goes_after_the_grace_time() -> None:
    host = Host()
    await host.base()
    assert await host.look() == 2
    host.now = GRACE_S - 1
    assert await host.look() == 2
    host.now = GRACE_S
    assert await host.look() == 0
    assert not host.engine.containers


async def test_the_grace_time_begins_again_when_it_was_used() -> None:
    host = Host()
    system = await host.base()
    await host.look()
    host.now = GRACE_S - 1
    await host.look(pod(system))
    host.now = GRACE_S + 1
    assert await host.look() == 2


async def test_what_is_another_installations_or_no_base_is_left_alone() -> None:
    host = Host()
    host.engine.volumes["pinacle-base-x"] = FakeVolume(labels=naming.base_labels("other", "sha256:1", "x"))
    host.engine.volumes["pinacle-vol-a-usr"] = FakeVolume(labels={})
    await host.look()
    host.now = 10 * GRACE_S
    assert await host.look() == 2


async def test_a_container_that_inherited_a_bases_labels_from_its_image_is_none() -> None:
    """A pod's container, and one that somebody made; and what they mount is in use."""
    host = Host()
    await host.base()
    (base,) = host.engine.containers.values()
    labels = naming.base_labels("test", "sha256:1", base.observed.labels[naming.LABEL_INCARNATION])
    for name, own in (("pinacle-pod-a", {naming.LABEL_INCARNATION: "i1"}), ("somebodys", {})):
        inherited = replace(
            base.observed,
            id=name,
            name=name,
            labels={**labels, **own},
            volumes={"/run/pinacle/usr": next(iter(base.observed.volumes.values()))},
        )
        host.engine.containers[name] = replace(base, observed=inherited)
        assert inherited.keeps_base is None
    await host.look()
    host.now = GRACE_S
    await host.look()
    assert {"pinacle-pod-a", "somebodys", base.observed.name} <= host.engine.containers.keys()


async def test_an_empty_volume_in_the_place_of_a_lost_base_goes() -> None:
    host = Host()
    host.engine.volumes["pinacle-base-x-usr"] = FakeVolume(labels={naming.LABEL_UNASKED: "i1"})
    await host.look()
    host.now = GRACE_S
    assert await host.look() == 0


async def test_what_is_being_made_or_looked_at_stays_however_short_the_grace_time_is() -> None:
    """No record names it yet."""
    host = Host(grace_s=0)
    await host.base()
    name = next(iter(host.engine.containers.values())).observed.labels[naming.LABEL_INCARNATION]
    host.engine.making.add(name)
    for _ in range(3):
        assert await host.look() == 2
    host.engine.making.clear()
    assert await host.look() == 2
    assert await host.look() == 0


async def test_a_base_that_was_made_after_the_records_were_read_stays() -> None:
    host = Host(grace_s=0)
    await host.look()
    record = pod(await host.base())
    assert await host.look() == 2
    assert await host.look(record) == 2
