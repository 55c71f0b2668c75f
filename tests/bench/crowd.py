"""Many pods on an Engine of their own: real containers, volumes and records, made without any task."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Final

import structlog
from pydantic import SecretStr

from config.settings import Settings
from tests.support.engines import private_engine
from tests.support.observing import CallCounter
from worker.interfaces import Proposal
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.planner.container import container_request, volume_labels
from worker.pods.layout import looked_paths, universal_layout
from worker.pods.model import Intent, IntentKind, Phase, PinnedImage, PodState, Record, Volume
from worker.pods.naming import volume_name
from worker.pods.parsing import parse_spec
from worker.process.loop_thread import LoopThread
from worker.process.wiring import Parts, installation_of, make_engine, make_parts
from worker.store.factory import make_store

_AT_ONCE: Final = 8
HOST: Final = "crowd"
_MOST: Final = 100_000
"""Pods that the host may have: more than any crowd, most of which does not run."""


@dataclass
class Crowd:
    """Many pods, and the parts of a worker, in this process, that can look at them."""

    engine: PrivateEngine
    redis: RedisServer
    settings: Settings
    parts: Parts
    loop: LoopThread
    """In which the parts live."""
    image: PinnedImage
    running: int
    """How many of them run; the others are stopped."""
    calls: Counter[str] = field(default_factory=Counter)
    """What the parts asked the Engine."""
    pods: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a worker that is to be the host of these pods."""
        return {
            "DOCKER_HOST": self.engine.url,
            "PINACLE_REDIS_URL": self.redis.url,
            "PINACLE_HOST_ID": HOST,
            "PINACLE_MIN_FREE_MB": "0",
            "PINACLE_MAX_PODS": str(_MOST),
        }

    def grow(self, pods: int) -> None:
        """Make pods until there are this many."""
        self.loop.run(self._grow(pods))

    async def _grow(self, pods: int) -> None:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with turn:
                await self._make(self._record(f"crowd-{number}", runs=number < self.running))

        await asyncio.gather(*(one(number) for number in range(self.pods, pods)))
        self.pods = pods

    def _record(self, pod_id: str, *, runs: bool) -> Record:
        spec = parse_spec(
            {"image": self.image.reference, "stop_timeout_s": 0, "command": ["sleep", "1000000"]}
        )
        layout = tuple(
            Volume(name=name, path=path, volume_class=volume_class, incarnation="crowd", filled=True)
            for path, (name, volume_class) in universal_layout().items()
        )
        kind, phase = (IntentKind.RUNNING, Phase.RUNNING) if runs else (IntentKind.STOPPED, Phase.STOPPED)
        intent = Intent(kind=kind, generation=1, spec=spec, image=self.image, accepted_at=time())
        state = PodState(phase=phase, image=self.image, layout=layout, tier=spec.tier, settled_generation=1)
        return Record(pod_id=pod_id, host=HOST, intent=intent, state=state)

    async def _make(self, record: Record) -> None:
        own, parts = installation_of(self.settings), self.parts
        for volume in record.state.layout:
            name = volume_name(record.pod_id, volume.name)
            await parts.engine.create_volume(name, volume_labels(record, volume, own))
        shape = await parts.engine.look_at_image(self.image, looked_paths(record, self.image))
        container = await parts.engine.create_container(container_request(record, own, shape))
        if record.intent.kind is IntentKind.RUNNING:
            await parts.engine.start_container(container.id)
        await parts.store.accept(
            Proposal(
                pod_id=record.pod_id,
                task_id=f"crowd {record.pod_id}",
                expected_generation=0,
                host=record.host,
                intent=record.intent,
            )
        )
        lease = await parts.store.lease(record.pod_id)
        await parts.store.save(record.evolve(state=record.state.evolve(container_id=container.id)), lease)
        await parts.store.release(record.pod_id, lease)


@contextmanager
def crowd(folder: Path, *, running: int) -> Iterator[Crowd]:
    """Yield an Engine and a Redis for many pods, of which none is made yet."""
    engine, redis, loop = private_engine(folder / "k", None), RedisServer(folder / "r"), LoopThread()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    engine.start()
    redis.start()
    try:
        settings = Settings(
            DOCKER_HOST=engine.url, redis_url=SecretStr(redis.url), min_free_mb=0, max_pods=_MOST
        )
        reference, calls = import_busybox(engine), Counter[str]()
        parts, image = loop.run(_ready(settings, calls, reference))
        yield Crowd(engine, redis, settings, parts, loop, image, running, calls)
        loop.run(_close(parts))
    finally:
        loop.close()
        redis.stop()
        engine.destroy()


async def _ready(settings: Settings, calls: Counter[str], reference: str) -> tuple[Parts, PinnedImage]:
    engine = make_engine(settings, CallCounter(calls))
    parts = make_parts(settings, host=HOST, engine=engine, store=make_store(settings))
    await engine.ensure_network()
    await parts.rebuild.run()
    await parts.guard.establish()
    image = await engine.find_image(reference)
    if image is None:
        raise ValueError(f"image {reference} is not on the Engine")
    return parts, image


async def _close(parts: Parts) -> None:
    await parts.dispatcher.drain(5)
    await parts.engine.close()
    await parts.store.close()
