"""A pod on a pool gets no tier that lets it keep less than it has: it is refused before anything is noted."""

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_pool import FakePool
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, ON_POOL, POOLS, pod
from worker.errors import UpdateRefusedError
from worker.pods.model import Record
from worker.pods.spec import PodSpec
from worker.service.preflight import Preflight

GB = 10**9


class Host:
    """One pod on a pool, in which it keeps 30 GB."""

    def __init__(self) -> None:
        self.engine, pool = FakeEngine(), FakePool()
        self.engine.images["image"] = IMAGE
        self.engine.pool = pool
        subvolume = pool.begin("a", "one", {}, 80 * GB)
        pool.name("a", "one", subvolume.uuid)
        pool.subvolumes["a"].used = 30 * GB
        self.record = pod(spec={"tier": "dev.large"}, tier="dev.large", system=ON_POOL, subvolume=subvolume)
        self.preflight = Preflight(
            host="here",
            engine=self.engine,
            store=FakeStore(),
            installation=POOLS,
            clock=lambda: 0.0,
            free_ports=range(1, 9),
            min_free_mb=0,
            max_pods=9,
        )

    async def ask(self, tier: str, record: Record | None = None) -> None:
        await self.preflight.resolved("a", record or self.record, PodSpec(image="image", tier=tier))


async def test_a_tier_below_what_it_keeps_is_refused() -> None:
    host = Host()
    with pytest.raises(
        UpdateRefusedError, match=r"keeps 30.0 GB, and a pod of tier dev.small may keep 20 GB"
    ):
        await host.ask("dev.small")
    for tier in ("dev.medium", "dev.large", "dev.xlarge"):
        await host.ask(tier)


async def test_a_pod_without_a_pool_is_not_asked_about_it() -> None:
    host = Host()
    await host.ask("dev.small", pod(spec={"tier": "dev.large"}))
    assert host.engine.calls["pool_list"] == 0
