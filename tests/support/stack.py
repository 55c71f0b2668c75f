"""An Engine that a test may kill, with a Redis and a worker beside it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.engines import private_engine
from tests.support.fault_proxy import FaultProxy
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import ROOT, import_busybox, import_helper
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.pods.naming import volume_name
from worker.process.loop_thread import LoopThread

HELPER: Final = "pinacle-helper"


@dataclass(frozen=True)
class Stack:
    """What one host is made of."""

    engine: PrivateEngine
    redis: RedisServer
    worker: WorkerProcess
    client: Client
    proxy: "ProxyThread | None" = None
    pool: PoolFile | None = None

    def phases(self) -> dict[str, str]:
        """Return pod id to phase, as `pods.list` shows them."""
        return {pod["pod_id"]: pod["phase"] for pod in self.client.call("list")["pods"]}

    def folder(self, pod_id: str, volume: str) -> Path:
        """Return where this machine sees what a pod has in one volume."""
        if self.pool is not None:
            return self.pool.seen / "pods" / pod_id / volume
        return self.engine.data_root / "volumes" / volume_name(pod_id, volume) / "_data"


class ProxyThread:
    """A proxy in front of an Engine, for tests that are not coroutines."""

    def __init__(self, listen: Path, engine: Path) -> None:
        self._loop = LoopThread()
        self._proxy = FaultProxy(listen, engine)
        self._loop.run(self._proxy.start())
        self.url = self._proxy.url

    def break_off(self, pattern: str) -> int:
        """Cut all connections whose "METHOD /path" matches; return how many."""

        async def cut() -> int:
            return self._proxy.break_off(pattern)

        return self._loop.run(cut())

    def slow_down(self, pattern: str, seconds: float) -> None:
        """Let every request whose "METHOD /path" matches wait this long before it arrives."""

        async def slow() -> None:
            self._proxy.slow_down(pattern, seconds)

        self._loop.run(slow())

    def hang(self, pattern: str | None) -> None:
        """Hold every request whose "METHOD /path" matches; with None, later ones are answered again."""

        async def change() -> None:
            if pattern is None:
                self._proxy.relent()
            else:
                self._proxy.hang(pattern)

        self._loop.run(change())

    def stop(self) -> None:
        self._loop.run(self._proxy.stop())
        self._loop.close()


def _own_pool(engine: PrivateEngine, ends: ExitStack) -> PoolFile:
    """Mount a pool for an Engine of its own."""
    pool = PoolFile(
        engine, import_helper(engine, ROOT / ".pinacle" / "cache", HELPER), "own", size_bytes=32 * 2**30
    )
    pool.mount()
    ends.callback(pool.unmount)
    return pool


@contextmanager
def own_stack(
    scratch: Path,
    settings: dict[str, str],
    *,
    proxied: bool = False,
    make_worker: Callable[[Path, dict[str, str], str], WorkerProcess] = WorkerProcess,
) -> Iterator[Stack]:
    """Start all three, with an image `pinacle-busybox`, in a folder of their own below `scratch`.

    `proxied` puts a proxy between worker and Engine, which can cut connections.
    """
    folder = Path(tempfile.mkdtemp(prefix="s", dir=scratch))
    # Each is ended whatever fails after it, a worker that does not start included.
    with ExitStack() as ends:
        engine = private_engine(folder / "k", settings.get("PINACLE_RUNTIME"))
        ends.callback(engine.destroy)
        engine.start()
        import_busybox(engine)
        redis = RedisServer(folder / "kr")
        ends.callback(redis.stop)
        redis.start()
        proxy = ProxyThread(folder / "p.sock", engine.socket) if proxied else None
        if proxy is not None:
            ends.callback(proxy.stop)
        docker_host = proxy.url if proxy is not None else engine.url
        pool = _own_pool(engine, ends) if "PINACLE_POOL" in settings else None
        there = {} if pool is None else {"PINACLE_POOL": str(pool.place), "PINACLE_HELPER_IMAGE": HELPER}
        mine = {**settings, **there, "DOCKER_HOST": docker_host, "PINACLE_REDIS_URL": redis.url}
        worker = make_worker(folder, mine, "own")
        ends.callback(worker.stop)
        worker.start()
        client = Client(redis.url)
        ends.callback(client.close)
        yield Stack(engine, redis, worker, client, proxy, pool)
