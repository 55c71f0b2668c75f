"""Which filesystem is the pool of a host: known from the store, else from its records, else the first one."""

from typing import Any

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import MINE, ON_POOL, pod, tombstone
from worker.host.pool_guard import PoolGuard
from worker.pods.model import Record
from worker.pool.errors import PoolMissingError, PoolUnfitError


class Mounted:
    """A pool that has this filesystem."""

    def __init__(self, uuid: str) -> None:
        self.uuid, self.is_open, self.looks = uuid, False, 0

    async def examine(self) -> None:
        if self.uuid == "ext4":
            raise PoolUnfitError("not btrfs")

    async def open(self, known: str | None) -> str:
        self.looks += 1
        if known not in (None, self.uuid):
            raise PoolMissingError(f"not the pool {known}")
        if self.uuid == "ext4":
            raise PoolUnfitError("not btrfs")
        self.is_open = True
        return self.uuid


def guard(mounted: Any, store: FakeStore) -> PoolGuard:
    return PoolGuard(host="here", store=store, pool=mounted)


def on(*pools: str) -> list[Record]:
    return [pod(system=ON_POOL, subvolume=MINE.evolve(pool=each)) for each in pools]


async def test_the_first_filesystem_is_noted_and_no_other_is_opened_after_that() -> None:
    store, first, other = FakeStore(), Mounted("first"), Mounted("other")
    for _ in range(2):
        await guard(first, store).open([])
    assert (first.is_open, first.looks, store.pools) == (True, 1, {"here": "first"})
    await guard(other, store).open([])
    assert not other.is_open
    assert store.pools == {"here": "first"}


async def test_in_a_store_that_was_lost_the_records_tell() -> None:
    """Those of pods that are there; if they name several, one of these will do."""
    gone = tombstone(subvolume=MINE.evolve(pool="gone"))
    for records, opened in (
        (on("known"), False),
        (on("known", "other"), True),
        ([gone], True),
        (on("other"), True),
    ):
        store, other = FakeStore(), Mounted("other")
        await guard(other, store).open(records)
        assert (other.is_open, store.pools) == (opened, {"here": "other"} if opened else {})


async def test_what_cannot_be_a_pool_is_not_noted_and_looked_at_again() -> None:
    store, unfit = FakeStore(), Mounted("ext4")
    own = guard(unfit, store)
    await own.open([])
    assert (unfit.is_open, store.pools) == (False, {})
    unfit.uuid = "mounted"
    await own.open([])
    assert (unfit.is_open, store.pools) == (True, {"here": "mounted"})


async def test_a_person_may_accept_another_pool() -> None:
    store, other = FakeStore(), Mounted("other")
    store.pools["here"] = "lost"
    assert await guard(other, store).accept() == "other"
    assert store.pools == {"here": "other"}
    with pytest.raises(PoolUnfitError):
        await guard(Mounted("ext4"), store).accept()
    assert await guard(None, store).accept() is None
    await guard(None, store).open([])
    assert store.pools == {"here": "other"}
