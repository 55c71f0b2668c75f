"""A person makes a lost volume: the reconciler notes what was missing, and what the person confirms later."""

from dataclasses import replace
from typing import Final

from tests.support.fake_engine import FakeEngine, FakeVolume
from tests.support.fake_store import FakeStore
from tests.support.situations import LABELS, OWN, pod
from worker.pods import naming
from worker.pods.model import Phase, Record
from worker.reconcile.reconciler import Reconciler

HOME: Final = "pinacle-vol-a-home"


class World:
    """One pod that has lost its container and its volume /home."""

    def __init__(self) -> None:
        self.engine, self.store = FakeEngine(), FakeStore()
        record = pod()
        assert record.image is not None
        self.engine.images[record.image.reference] = record.image
        self.store.records["a"] = record
        for volume in record.state.layout:
            labels = {**LABELS, naming.LABEL_INCARNATION: volume.incarnation or ""}
            self.engine.volumes[naming.volume_name("a", volume.name)] = FakeVolume(labels=labels, content="x")
        self.lost = self.engine.volumes.pop(HOME)

    async def reconcile(self) -> Record:
        reconciler = Reconciler(
            engine=self.engine, store=self.store, installation=OWN, clock=lambda: 1.0, step_deadline_s=1.0
        )
        return (await reconciler.reconcile("a")).record

    def ask(self, *, force: bool) -> None:
        record = self.store.records["a"]
        intent = record.intent.evolve(generation=record.intent.generation + 1, force=force)
        self.store.records["a"] = replace(record, intent=intent)

    def make_by_hand(self) -> None:
        labels = {**self.lost.labels, naming.LABEL_RESTORED: "1"}
        self.engine.volumes[HOME] = FakeVolume(labels=labels)


async def test_nothing_starts_on_it_before_a_restart_by_force_that_came_after_it_was_missing() -> None:
    world = World()
    world.ask(force=True)
    assert (await world.reconcile()).state.phase is Phase.STORAGE_MISSING
    world.make_by_hand()
    for force in (None, False):
        if force is not None:
            world.ask(force=force)
        state = (await world.reconcile()).state
        assert (state.phase, "is being restored" in (state.reason or "")) == (Phase.STORAGE_MISSING, True)
    assert not world.engine.started
    world.engine.volumes[HOME].content = "restored"
    world.ask(force=True)
    assert (await world.reconcile()).state.phase is Phase.RUNNING
    assert world.engine.started[0][1][HOME] == "restored"
    world.engine.lose_container("a")
    assert (await world.reconcile()).state.phase is Phase.RUNNING, "it was said once, and holds"


async def test_a_volume_that_is_lost_again_has_to_be_restored_again() -> None:
    """Even if the same command is run again."""
    world = World()
    await world.reconcile()
    world.make_by_hand()
    world.ask(force=True)
    assert (await world.reconcile()).state.phase is Phase.RUNNING
    world.engine.lose_container("a")
    del world.engine.volumes[HOME]
    assert (await world.reconcile()).state.phase is Phase.STORAGE_MISSING
    world.make_by_hand()
    assert (await world.reconcile()).state.phase is Phase.STORAGE_MISSING
    assert len(world.engine.started) == 1
