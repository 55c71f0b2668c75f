"""How long a person waits for the list of all pods: `pinacle pods ls` against `docker ps`."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

from tests.support.stack import Stack
from worker.local.packages import find

PODS: Final = 10
_IMAGE: Final = "pinacle-busybox"
_OURS: Final = Path(sys.executable).with_name("pinacle")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Medians of both commands, each a process of its own without a terminal."""

    pods: int
    ours_ms: float
    ours_cpu_ms: float
    """Of the processor: others beside it do not change it much."""
    docker_ms: float
    docker_cpu_ms: float


def listing(stack: Stack, rounds: int) -> Listing:
    """Measure both in turns, after a run of each that does not count."""
    pods = [f"listed-{number}" for number in range(PODS)]
    for pod in pods:
        stack.client.call("create", pod, {"image": _IMAGE, "stop_timeout_s": 0})
    docker = [find("docker") or "docker", "-H", stack.engine.url, "ps"]
    took: dict[str, list[tuple[float, float]]] = {"ours": [], "docker": []}
    for _ in range(rounds + 1):
        took["ours"].append(_run([str(_OURS), "pods", "ls"], stack.worker.settings, shows=pods))
        took["docker"].append(_run(docker, {}, shows=pods))
    for pod in pods:
        stack.client.call("delete", pod)
    medians = {
        side: [1000 * median(column) for column in zip(*each[1:], strict=True)] for side, each in took.items()
    }
    return Listing(
        pods=PODS,
        ours_ms=medians["ours"][0],
        ours_cpu_ms=medians["ours"][1],
        docker_ms=medians["docker"][0],
        docker_cpu_ms=medians["docker"][1],
    )


def _run(command: Sequence[str], settings: Mapping[str, str], *, shows: Sequence[str]) -> tuple[float, float]:
    """Return the seconds that a command takes, and those of the processor; it has to show these pods."""
    began = monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **settings}) as process:
        assert process.stdout is not None
        shown = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    took = monotonic() - began
    if process.returncode != 0 or not all(pod in shown for pod in shows):
        raise RuntimeError(f"{command[0]} ended with {process.returncode} and showed: {shown}")
    return took, used.ru_utime + used.ru_stime
