"""A lease ends with the work that it was taken for, however the work ends."""

import asyncio

import pytest

from tests.support.fake_store import FakeStore
from worker.errors import EngineUnavailableError
from worker.reconcile.leasing import leased


async def hold(store: FakeStore, error: BaseException | None) -> None:
    async with leased(store, "a"):
        if error is not None:
            raise error


async def test_it_is_given_back_after_work_that_ended_or_failed_in_a_known_way() -> None:
    store = FakeStore()
    await hold(store, None)
    assert not store.leases
    with pytest.raises(EngineUnavailableError):
        await hold(store, EngineUnavailableError("away"))
    assert not store.leases
    assert not store.abandoned


@pytest.mark.parametrize("error", [ValueError("a bug"), asyncio.CancelledError()])
async def test_after_anything_else_it_expires(error: BaseException) -> None:
    """The Engine may still be at work, so it is not given back; and it is not renewed for ever."""
    store = FakeStore()
    with pytest.raises(type(error)):
        await hold(store, error)
    assert store.leases.keys() == {"a"}
    assert store.abandoned == {store.leases["a"].token}
