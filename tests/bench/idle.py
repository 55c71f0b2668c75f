"""A pass that finds nothing to do, over more and more pods."""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, process_time
from typing import Any, Final

import aiodocker
import structlog
from redis import Redis

from config.settings import Settings
from tests.bench.crowd import grow
from worker.local.engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.runtime import Parts, installation_of, make_engine, make_parts, make_store

_ROUNDS: Final = 7


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One pass over so many pods; medians of several."""

    pods: int
    running: int
    wall_ms: float
    cpu_ms: float
    engine_calls: int
    redis_reads: int
    """How often Redis read from a connection: pipelined commands come in one, long ones in a few."""
    lists_ms: float
    """The two bare list calls, by themselves, in turns with the passes."""


def idle_passes(
    engine: PrivateEngine, folder: Path, image: str, sizes: Sequence[int], running: int
) -> list[Pass]:
    """Return a pass for each number of pods; `running` of them run, the others are stopped."""
    redis = RedisServer(folder)
    redis.start()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    try:
        return asyncio.run(_measure(engine, redis, image, sizes, running))
    finally:
        redis.stop()


async def _measure(
    engine: PrivateEngine, redis: RedisServer, image: str, sizes: Sequence[int], running: int
) -> list[Pass]:
    os.environ |= {"DOCKER_HOST": engine.url, "PINACLE_REDIS_URL": redis.url}
    settings = Settings(min_free_mb=0, task_wait_s=120)
    calls: Counter[str] = Counter()
    docker = make_engine(settings, on_call=lambda operation: calls.update([operation]))
    await docker.ensure_network()
    parts = make_parts(settings, host="idle", engine=docker, store=make_store(settings))
    await parts.rebuild.run()
    await parts.guard.establish()
    bare = aiodocker.Docker(url=engine.url)
    found, made = [], 0
    try:
        for size in sizes:
            await grow(parts, installation_of(settings), image, made, size, running=running)
            made = size
            found.append(await _one(parts, bare, redis, calls, pods=size, running=min(running, size)))
    finally:
        await bare.close()
        await parts.dispatcher.drain(5)
        await docker.close()
        await parts.store.close()
    return found


async def _one(
    parts: Parts, bare: Any, redis: RedisServer, calls: Counter[str], *, pods: int, running: int
) -> Pass:
    walls, cpus, lists = [], [], []
    with Redis.from_url(redis.url) as admin:
        for _ in range(_ROUNDS):
            began = monotonic()
            await bare._query_json("containers/json?all=1", method="GET")
            await bare._query_json("volumes", method="GET")
            lists.append((monotonic() - began) * 1000)
            calls.clear()
            before: Any = admin.info("stats")
            began, cpu = monotonic(), process_time()
            await parts.passes.run(wait_s=30)
            walls.append((monotonic() - began) * 1000)
            cpus.append((process_time() - cpu) * 1000)
            after: Any = admin.info("stats")
    return Pass(
        pods=pods,
        running=running,
        wall_ms=median(walls),
        cpu_ms=median(cpus),
        engine_calls=calls.total(),
        redis_reads=after["total_reads_processed"] - before["total_reads_processed"] - 1,
        lists_ms=median(lists),
    )
