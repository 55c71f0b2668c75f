"""A pool that is nearly full gets no other pod, which is refused before anything is noted."""

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_pool import FakePool
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OVERLAYS, POOLS, new_pod
from worker.errors import HostFullError
from worker.pods.model import Installation
from worker.pool.groups import most_bytes, reserve
from worker.service.preflight import Preflight

MB = 10**6


async def look(free_bytes: int | None, own: Installation = POOLS) -> None:
    engine = FakeEngine()
    engine.images["image"] = IMAGE
    engine.pool = FakePool()
    engine.pool.free_bytes = free_bytes
    preflight = Preflight(
        host="here",
        engine=engine,
        store=FakeStore(),
        installation=own,
        clock=lambda: 0.0,
        free_ports=range(1, 9),
        min_free_mb=100,
        max_pods=9,
    )
    await preflight.first_look(new_pod())


async def test_a_pool_without_room_gets_no_new_pod() -> None:
    with pytest.raises(
        HostFullError, match=r"99 MB free on its pool, .* below 100 MB \(PINACLE_MIN_FREE_MB\)"
    ):
        await look(100 * MB - 1)
    await look(100 * MB)


async def test_pods_without_a_pool_do_not_ask_for_its_room() -> None:
    await look(0, OVERLAYS)
    await look(None)


@pytest.mark.parametrize("size", [10**9, 10**11, 10**13])
def test_what_pods_leave_free_is_no_room_for_them(size: int) -> None:
    assert most_bytes(size, 0) + reserve(size) == size
    assert 0 < reserve(size) <= 8 * 2**30
