"""Which host a task about a whole host is for, and what a person decides about one."""

from typing import Any

import pytest

from tests.support.fake_store import FakeStore
from worker.errors import InvalidInputError
from worker.host.pool_guard import PoolGuard
from worker.pool.errors import PoolUnfitError
from worker.service.hosts import Hosts


class Guard:
    """Notes what it is asked to do, including passes."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    async def accept(self) -> str:
        self.asked.append(("accept", None))
        return "identity"

    async def take_over(self, old: str) -> int:
        self.asked.append(("take over", old))
        return 3

    async def run(self, *, wait_s: float) -> None:
        self.asked.append(("pass", wait_s))


def hosts(*live: str) -> tuple[Hosts, Guard]:
    guard, store = Guard(), FakeStore()
    store.hosts = dict.fromkeys(live, 0.0)
    doubles: Any = guard
    pool = PoolGuard(host="here", store=store, pool=None)
    made = Hosts(host="here", store=store, guard=doubles, pool_guard=pool, passes=doubles, task_wait_s=7.0)
    return made, guard


async def test_what_names_this_host_is_done_here_and_what_names_a_live_one_there() -> None:
    asked, _ = hosts("here", "there")
    assert await asked.is_here("here")
    assert not await asked.is_here("there")
    assert await asked.others() == ["there"]


@pytest.mark.parametrize("host", ["gone", None, 1, ["here"], {"here": 1}])
async def test_what_names_no_live_host_is_refused_with_those_that_there_are(host: Any) -> None:
    asked, _ = hosts("there", "here")
    with pytest.raises(InvalidInputError, match="is not a host with a worker; allowed: here, there"):
        await asked.is_here(host)


async def test_what_was_decided_is_followed_by_a_pass_that_nobody_waits_for() -> None:
    asked, guard = hosts("here")
    assert await asked.accept_storage() == {"host": "here", "storage": "identity", "pool": None}
    assert await asked.rename("old") == {"former": "old", "host": "here", "pods": 3}
    assert guard.asked == [("accept", None), ("pass", 0.0), ("take over", "old"), ("pass", 0.0)]


@pytest.mark.parametrize("old", [None, 1, ["old"]])
async def test_a_former_name_that_is_none_is_refused_before_anything_is_done(old: Any) -> None:
    asked, guard = hosts("here")
    with pytest.raises(InvalidInputError, match="is not the name of a host"):
        await asked.rename(old)
    assert guard.asked == []


async def test_a_storage_is_not_accepted_without_its_pool() -> None:
    """It is found out before anything is accepted that the pool cannot be."""
    asked, guard = hosts("here")
    pool: Any = Unfit()
    asked._pool_guard = PoolGuard(host="here", store=FakeStore(), pool=pool)
    with pytest.raises(PoolUnfitError):
        await asked.accept_storage()
    assert guard.asked == []


class Unfit:
    """A pool that cannot be one."""

    async def examine(self) -> None:
        raise PoolUnfitError("not btrfs")
