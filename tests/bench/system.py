"""What it costs to keep the system directories: time to create a pod, and disk for each pod."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

from tests.support.stack import Stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_debian
from worker.local.redis import RedisServer

MODES: Final = ("off", "overlay", "copy")
_MB: Final = 10**6


@dataclass
class Cost:
    """Of one mode."""

    create_ms: list[float] = field(default_factory=list)
    disk_mb: list[float] = field(default_factory=list)

    def row(self, floor: "Cost") -> list[str]:
        ratio = median(self.create_ms) / median(floor.create_ms)
        spread = f"{min(self.create_ms):.0f} to {max(self.create_ms):.0f}"
        return [
            f"{median(self.create_ms):.0f} ms",
            spread,
            f"{ratio:.2f}",
            f"{median(self.disk_mb):.1f} MB",
        ]


def system_volumes(stack: Stack, cache: Path, rounds: int) -> tuple[float, dict[str, Cost]]:
    """Return megabytes of the image, and what each mode costs; the modes take turns.

    A pod before the first round makes the base, which the others find.
    """
    image = import_debian(stack.engine, cache)
    size = int(stack.engine.docker("image", "inspect", "-f", "{{.Size}}", image)) / _MB
    costs = {mode: Cost() for mode in MODES}
    with ExitStack() as workers:
        clients = {mode: workers.enter_context(_worker(stack, mode)) for mode in MODES}
        for number in range(rounds + 1):
            for mode, client in clients.items():
                cost = Cost() if number == 0 else costs[mode]
                _create(stack, client, f"{mode}-{number}", image, cost)
    return size, costs


@contextmanager
def _worker(stack: Stack, mode: str) -> Iterator[Client]:
    folder = stack.engine.root.parent / mode
    redis = RedisServer(folder)
    redis.start()
    own = {"PINACLE_SYSTEM_VOLUMES": mode, "PINACLE_REDIS_URL": redis.url}
    worker = WorkerProcess(folder, {**stack.worker.settings, **own}, mode)
    worker.start()
    client = Client(redis.url)
    try:
        yield client
    finally:
        client.close()
        worker.stop()
        redis.stop()


def _create(stack: Stack, client: Client, pod_id: str, image: str, cost: Cost) -> None:
    began = monotonic()
    client.call("create", pod_id, {"image": image, "stop_timeout_s": 1})
    cost.create_ms.append((monotonic() - began) * 1000)
    client.call("stop", pod_id)  # so that no overlay is mounted, and only what it holds is counted
    folders = stack.engine.data_root.glob(f"volumes/pinacle-vol-{pod_id}-*/_data")
    universal = ("workspace", "home", "root", "etc", "usr-local", "opt", "var", "srv")
    names = {f"pinacle-vol-{pod_id}-{name}" for name in universal}
    added = [str(folder) for folder in folders if folder.parent.name not in names]
    cost.disk_mb.append(_disk_mb(added))
    client.call("delete", pod_id)


def _disk_mb(folders: list[str]) -> float:
    if not folders:
        return 0.0
    done = subprocess.run(["du", "-sxcB1", *folders], check=True, capture_output=True, text=True)
    return int(done.stdout.splitlines()[-1].split()[0]) / _MB
