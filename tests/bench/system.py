"""What it costs to keep the system directories: time to create a pod, and disk for each pod."""

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from tests.bench.contenders import our_worker
from tests.support.stack import Stack
from worker.local.client import Client
from worker.local.images import import_debian

MODES: Final = ("off", "overlay", "copy")
_MB: Final = 10**6


@dataclass
class Cost:
    """What one mode costs."""

    create_ms: list[float] = field(default_factory=list)
    disk_mb: list[float] = field(default_factory=list)


def system_volumes(stack: Stack, cache: Path, rounds: int) -> dict[str, Cost]:
    """Return what each mode costs; the modes take turns.

    A pod before the first round makes the base that the others use.
    """
    image = import_debian(stack.engine, cache)
    costs = {mode: Cost() for mode in MODES}
    folder = stack.engine.root.parent / "modes"
    with ExitStack() as workers:
        clients = {
            mode: workers.enter_context(
                our_worker(folder / mode, stack.worker.settings, mode, PINACLE_SYSTEM_VOLUMES=mode)
            )[1]
            for mode in MODES
        }
        for number in range(rounds + 1):
            for mode, client in clients.items():
                cost = Cost() if number == 0 else costs[mode]
                _create(stack, client, f"{mode}-{number}", image, cost)
    return costs


def _create(stack: Stack, client: Client, pod_id: str, image: str, cost: Cost) -> None:
    began = monotonic()
    client.call("create", pod_id, {"image": image, "stop_timeout_s": 1})
    cost.create_ms.append((monotonic() - began) * 1000)
    client.call("stop", pod_id)  # Then no overlay is mounted, and only its content counts.
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
