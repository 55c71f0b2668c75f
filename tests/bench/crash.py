"""From a container's death to its start, by the Engine's clock: ours against Docker's `restart=always`."""

import json
import os
import subprocess
from collections.abc import Iterator
from signal import SIGKILL
from time import time
from typing import Any, Final

from config.layout import UNIVERSAL_VOLUMES
from tests.support.stack import Stack
from worker.local.engine import PrivateEngine
from worker.local.packages import find

IMAGE: Final = "pinacle-busybox"


def crash_to_running(stack: Stack, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds from `die` to `start`, for each round; ours and Docker's take turns.

    Each round crashes a pod and a container that never crashed before: both sides wait longer after more.
    Docker's has what a pod has: its eight volumes, network, limits and init; no system volumes.
    """
    engine, client = stack.engine, stack.client
    found: dict[str, list[float]] = {"ours": [], "restart=always": []}
    for number in range(rounds):
        client.call("create", f"crash-{number}", {"image": IMAGE, "stop_timeout_s": 1})
        name = f"crash-{number}"
        engine.docker("run", "-d", "--restart=always", "--name", name, *_as_a_pod(name), IMAGE)
        for side, container in (("ours", f"pinacle-pod-crash-{number}"), ("restart=always", name)):
            found[side].append(_crash(engine, container))
        client.call("delete", f"crash-{number}")
        engine.docker("rm", "-f", name)
        engine.docker("volume", "rm", *(f"{name}-{volume}" for volume, _ in UNIVERSAL_VOLUMES))
    return found


def _as_a_pod(name: str) -> list[str]:
    limits = ["--cpus", "1", "--memory", "2g", "--memory-swap", "2g", "--pids-limit", "4096"]
    volumes = [word for volume, path in UNIVERSAL_VOLUMES for word in ("-v", f"{name}-{volume}:{path}")]
    return ["--init", "--network", "pinacle", "--tmpfs", "/run", *limits, *volumes]


def _crash(engine: PrivateEngine, container: str) -> float:
    """Kill the container's first process behind the Engine's back: `docker kill` would count as asked for."""
    before = time()
    os.kill(int(engine.docker("inspect", "-f", "{{.State.Pid}}", container)), SIGKILL)
    times: dict[str, int] = {}
    for event in _events(engine, container, before):
        times[event["Action"]] = event["timeNano"]
        if event["Action"] == "start":
            break
    return (times["start"] - times["die"]) / 1e6


def _events(engine: PrivateEngine, container: str, since: float) -> Iterator[dict[str, Any]]:
    """Yield one container's ends and starts, what happened since a moment included."""
    command = [find("docker") or "docker", "-H", engine.url, "events", "--format", "{{json .}}"]
    filters = ["--since", f"{since:.6f}", "--filter", f"container={container}"]
    filters += ["--filter", "event=die", "--filter", "event=start"]
    with subprocess.Popen([*command, *filters], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield from map(json.loads, process.stdout)
        finally:
            process.terminate()
