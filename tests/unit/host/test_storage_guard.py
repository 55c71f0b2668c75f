"""Which storage a host accepts as its own, from what the store knows and what the Engine shows."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.fake_engine import FakeEngine, FakeVolume
from tests.support.fake_store import FakeStore
from tests.support.situations import LABELS, stopped_pod
from worker.errors import PermanentError, StorageMissingError
from worker.host.claiming import Claiming
from worker.host.storage_guard import StorageGuard
from worker.pods import naming
from worker.pods.model import Installation, Record

OWN: Final = Installation(name="test", network="net")
SENTINEL: Final = "pinacle-storage-test"


class World:
    """One host with a stopped pod, and its store."""

    def __init__(self, host: str = "here", *, known: str | None = "s-1", pods: int = 1) -> None:
        self.engine, self.store = FakeEngine(), FakeStore()
        if known is not None:
            self.store.identities["here"] = known
        self.records: list[Record] = [replace(stopped_pod(storage=known), host=host)][:pods]
        self.store.records = {record.pod_id: record for record in self.records}
        owned: dict[str, Any] = {
            "host": host,
            "engine": self.engine,
            "store": self.store,
            "installation": OWN,
        }
        self.guard = StorageGuard(**owned, claiming=Claiming(**owned))

    def has_volumes(self, without: str = "") -> None:
        for record in self.records:
            for volume in record.state.layout:
                if volume.name != without:
                    labels = {**LABELS, naming.LABEL_INCARNATION: volume.incarnation or ""}
                    self.engine.volumes[f"pinacle-vol-a-{volume.name}"] = FakeVolume(labels=labels)

    async def has_sentinel(self, identity: str) -> None:
        await self.engine.keep_storage("test", identity, {})

    def sentinel(self) -> str | None:
        found = self.engine.volumes.get(SENTINEL)
        return None if found is None else found.labels[naming.LABEL_STORAGE]

    async def check(self) -> str | None:
        """Look once; return the identity that can be seen afterwards."""
        seen = await self.guard.check(self.records, await self.engine.observe_all())
        return seen.storages.get("test")


async def test_a_sentinel_that_a_prune_took_is_made_again_with_the_same_identity() -> None:
    """The pods' own volumes exist, so nothing is held up, not even in this pass."""
    world = World()
    world.has_volumes()
    assert await world.check() == "s-1"
    assert world.guard.is_accepted
    assert (world.sentinel(), world.store.identities) == ("s-1", {"here": "s-1"})
    assert SENTINEL in world.engine.containers


async def test_if_the_pods_volumes_are_gone_too_nothing_is_made() -> None:
    """The disk is not mounted; or one volume is gone, and nothing runs that would prove the storage."""
    world = World()
    assert await world.check() is None
    assert (world.guard.is_accepted, world.sentinel()) == (False, None)
    world.has_volumes(without="home")
    assert await world.check() is None
    assert (world.guard.is_accepted, world.sentinel()) == (False, None)


async def test_another_storage_is_never_taken_however_many_volumes_are_there() -> None:
    world = World()
    world.has_volumes()
    await world.has_sentinel("s-2")
    await world.check()
    assert not world.guard.is_accepted
    assert world.store.identities == {"here": "s-1"}


async def test_a_keeper_that_a_prune_took_is_made_again() -> None:
    world = World()
    await world.has_sentinel("s-1")
    del world.engine.containers[SENTINEL]
    await world.check()
    assert SENTINEL in world.engine.containers


async def test_a_renamed_host_does_not_take_the_storage_and_says_whose_it_is() -> None:
    """Otherwise new pods would be beside those that nobody keeps."""
    world = World("new", pods=0)
    await world.has_sentinel("s-1")
    await world.check()
    assert not world.guard.is_accepted
    assert world.store.identities == {"here": "s-1"}
    with pytest.raises(StorageMissingError, match=r"PINACLE_HOST_ID=here .*hosts.rename\('here', 'new'\)"):
        world.guard.refuse_renamed()
    with pytest.raises(PermanentError, match="renamed"):
        await world.guard.accept()
    assert world.store.identities == {"here": "s-1"}


async def test_a_storage_that_no_host_is_known_to_have_is_adopted() -> None:
    world = World("new", pods=0)
    await world.has_sentinel("s-9")
    await world.check()
    world.guard.refuse_renamed()
    assert world.store.identities == {"here": "s-1", "new": "s-9"}


async def test_a_host_that_has_pods_and_another_ones_disk_misses_its_own() -> None:
    world = World("new")
    world.store.identities = {"new": "s-2", "here": "s-1"}
    await world.has_sentinel("s-1")
    await world.check()
    assert not world.guard.is_accepted
    world.guard.refuse_renamed()
