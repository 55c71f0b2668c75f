"""What the Engine says of itself is used for seconds: it is a long answer, and many pods may be created."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN
from worker.errors import InvalidInputError
from worker.interfaces import EngineInfo
from worker.pods.policy import Policy
from worker.pods.spec import PodSpec
from worker.service.preflight import Preflight


class Configured(FakeEngine):
    """An Engine whose runtimes can be configured anew."""

    runtimes = frozenset({"runc"})

    async def info(self) -> EngineInfo:
        return replace(await super().info(), runtimes=self.runtimes)


class Bench:
    def __init__(self) -> None:
        self.engine, self.now = Configured(), 1000.0
        self.engine.images["image"] = IMAGE
        given: dict[str, Any] = {"host": "here", "engine": self.engine, "store": FakeStore()}
        self.preflight = Preflight(
            **given,
            installation=OWN,
            clock=lambda: self.now,
            free_ports=range(1, 9),
            min_free_mb=1,
            max_pods=9,
            policy=Policy(runtimes=frozenset({"runc", "runsc"})),
        )

    async def create(self, **keys: Any) -> int:
        """Examine a new pod; return how often the Engine was asked about itself until now."""
        await self.preflight.resolved("a", None, PodSpec(image="image", **keys))
        return self.engine.calls["info"]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_many_creations_ask_once_in_ten_seconds(bench: Bench) -> None:
    assert [await bench.create() for _ in range(5)] == [1] * 5
    bench.now += 9.9
    assert await bench.create() == 1
    bench.now += 0.2
    assert await bench.create() == 2


async def test_a_clock_that_was_set_back_does_not_keep_it(bench: Bench) -> None:
    await bench.create()
    bench.now -= 3600
    assert await bench.create() == 2


async def test_no_runtime_is_refused_without_asking_anew(bench: Bench) -> None:
    await bench.create()
    with pytest.raises(InvalidInputError, match="runsc"):
        await bench.create(runtime="runsc")
    bench.engine.runtimes = frozenset({"runc", "runsc"})
    assert await bench.create(runtime="runsc") == 3
