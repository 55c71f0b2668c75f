"""From a container's death to its start, by the Engine's clock: ours against Docker's `restart=always`."""

import os
from signal import SIGKILL
from typing import Final

from config.layout import UNIVERSAL_VOLUMES
from tests.bench.events import watched
from tests.support.stack import Stack
from worker.local.private_engine import PrivateEngine

IMAGE: Final = "pinacle-busybox"


def crash_to_running(stack: Stack, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds from `die` to `start`, for each round; ours and Docker's take turns.

    Each round crashes a pod and a container that never crashed before, as both sides wait longer after more
    crashes. Docker's container has what a pod has: eight volumes, network, limits and init, but no system
    volumes.
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
    """Kill the container's first process behind the Engine's back: `docker kill` would count as intended."""
    times: dict[str, int] = {}
    with watched(engine) as events:
        os.kill(int(engine.docker("inspect", "-f", "{{.State.Pid}}", container)), SIGKILL)
        for event in events:
            if event["Actor"]["Attributes"]["name"] == container:
                times[event["Action"]] = event["timeNano"]
            if "start" in times:
                return (times["start"] - times["die"]) / 1e6
    raise EOFError("the Engine's events ended before the container ran")
