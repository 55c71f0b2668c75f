"""A pass that finds nothing to do, over more and more pods."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression, median
from time import monotonic, process_time
from typing import Any, Final

import aiodocker

from tests.bench.crowd import Crowd
from tests.support.round_trips import counted_round_trips

_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over a number of pods; the medians of several."""

    pods: int
    running: int
    wall_ms: float
    cpu_ms: float
    engine_calls: int
    redis_round_trips: int
    """A pipeline of many commands is one."""
    lists_ms: float
    """The two bare list calls, by themselves, in turns with the passes."""


def idle_pass(crowd: Crowd) -> Pass:
    """Measure a pass over the existing pods."""
    return crowd.loop.run(_idle_pass(crowd))


def growth(passes: Sequence[Pass]) -> float:
    """Return k, by least squares, if the time of a pass grows as the k-th power of the number of pods."""
    points = [(math.log(each.pods), math.log(each.wall_ms)) for each in passes]
    return linear_regression(*zip(*points, strict=True)).slope


async def _idle_pass(crowd: Crowd) -> Pass:
    walls, cpus, lists = [], [], []
    bare: Any = aiodocker.Docker(url=crowd.engine.url)
    with counted_round_trips() as trips:
        try:
            for _ in range(_ROUNDS):
                began = monotonic()
                await bare._query_json("containers/json?all=1", method="GET")
                await bare._query_json("volumes", method="GET")
                lists.append((monotonic() - began) * 1000)
                crowd.calls.clear()
                trips.clear()
                began, cpu = monotonic(), process_time()
                await crowd.parts.passes.run(wait_s=30)
                walls.append((monotonic() - began) * 1000)
                cpus.append((process_time() - cpu) * 1000)
        finally:
            await bare.close()
    return Pass(
        pods=crowd.pods,
        running=crowd.running,
        wall_ms=median(walls),
        cpu_ms=median(cpus),
        engine_calls=crowd.calls.total(),
        redis_round_trips=trips.total(),
        lists_ms=median(lists),
    )
