"""An Engine to be killed, and a Redis and a worker beside it, of one test's own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.engine import PrivateEngine
from worker.local.images import import_busybox
from worker.local.redis import RedisServer


@dataclass(frozen=True)
class Stack:
    """What one host is made of."""

    engine: PrivateEngine
    redis: RedisServer
    worker: WorkerProcess
    client: Client

    def phases(self) -> dict[str, str]:
        """Return pod id to phase, as `pods.list` shows them."""
        return {pod["pod_id"]: pod["phase"] for pod in self.client.call("list")["pods"]}


@contextmanager
def own_stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    """Start all three with an image `pinacle-busybox`, in a folder of their own below `scratch`."""
    folder = Path(tempfile.mkdtemp(prefix="s", dir=scratch))
    engine, redis = PrivateEngine(folder / "k"), RedisServer(folder / "kr")
    engine.start()
    import_busybox(engine)
    redis.start()
    mine = {**settings, "DOCKER_HOST": engine.url, "PINACLE_REDIS_URL": redis.url}
    worker, client = WorkerProcess(folder, mine, "own"), Client(redis.url)
    worker.start()
    try:
        yield Stack(engine, redis, worker, client)
    finally:
        client.close()
        worker.stop()
        redis.stop()
        engine.destroy()
