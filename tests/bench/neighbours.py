"""How long one pod's tasks take beside more and more other pods of the host."""

from dataclasses import asdict, dataclass
from statistics import median
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from redis.asyncio import Redis

from tests.bench.crowd import HOST, Crowd
from worker.pods.parsing import parse_spec
from worker.pods.requests import Create, Delete, Request, Start, Stop
from worker.process.wiring import Parts
from worker.store import keys

_ROUNDS: Final = 5
_PASSES: Final = 4
_FIRST_PORT: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class Beside:
    """One pod's tasks from acceptance to outcome, beside a number of pods; the medians of several."""

    pods: int
    create_ms: float
    stop_ms: float
    start_ms: float
    delete_ms: float
    engine_calls: int
    """Of all four together."""


def tasks_beside(crowd: Crowd) -> Beside:
    """Measure beside the existing pods, each of which has a host port reserved."""
    return crowd.loop.run(_tasks_beside(crowd))


async def _tasks_beside(crowd: Crowd) -> Beside:
    async with Redis.from_url(crowd.redis.url) as redis:
        ports: dict[Any, Any] = {
            f"tcp/{_FIRST_PORT + number}/127.0.0.1": f"crowd-{number}" for number in range(crowd.pods)
        }
        await redis.hset(keys.ports(HOST), mapping=ports)
    await _settled(crowd)
    crowd.calls.clear()
    took = [await one_pod(crowd.parts, crowd.image.reference) for _ in range(_ROUNDS)]
    times = {f"{name}_ms": median(1000 * each[name] for each in took) for name in took[0]}
    return Beside(pods=crowd.pods, engine_calls=crowd.calls.total() // _ROUNDS, **times)


async def _settled(crowd: Crowd) -> None:
    """Make passes, as a worker does, until no task lists all volumes; beside few, each does."""
    for _ in range(_PASSES):
        await crowd.parts.passes.run(wait_s=60)
        crowd.calls.clear()
        await crowd.parts.engine.observe("none", frozenset())
        if not crowd.calls["volume_list"]:
            return


async def one_pod(parts: Parts, image: str) -> dict[str, float]:
    """Return the seconds of each task of a pod's life."""
    pod_id = f"one-{uuid4().hex[:8]}"
    spec = parse_spec({"image": image, "stop_timeout_s": 0, "ports": [{"container": 80}]})
    life: dict[str, Request] = {
        "create": Create(spec=spec),
        "stop": Stop(),
        "start": Start(),
        "delete": Delete(),
    }
    took = {}
    for name, request in life.items():
        began = monotonic()
        await parts.intents.submit(pod_id, request, task_id=uuid4().hex)
        took[name] = monotonic() - began
    return took


def ratios(found: list[dict[str, Any]]) -> list[tuple[int, dict[str, float]]]:
    """Return, for each number of pods, how much longer each task takes than beside the fewest pods."""
    names = [name for name in asdict(Beside(**found[0])) if name.endswith("_ms")]
    return [
        (each["pods"], {name.removesuffix("_ms"): each[name] / found[0][name] for name in names})
        for each in found
    ]
