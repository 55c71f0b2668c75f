"""What our processes take: memory, idle processor time, start-up, and the queue's own share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

import psutil

from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client

_MB: Final = 10**6


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What worker and beat take together, at their default settings."""

    pods: int
    pss_mb: float
    """Proportional: what processes share is counted once."""
    idle_cpu_percent: float
    """Of one core, over the time that was watched."""
    watched_s: float
    start_s: float
    """From the worker's start until it takes work."""


@contextmanager
def watched(folder: Path, environment: dict[str, str], *, pods: int) -> Iterator[Callable[[], Footprint]]:
    """Run a worker and beat; what is yielded returns what they took since then."""
    folder.mkdir(parents=True)
    worker = WorkerProcess(folder, environment, "footprint")
    began = monotonic()
    worker.start()
    start_s = monotonic() - began
    try:
        with _beat(folder, environment) as beat:
            processes = [psutil.Process(pid) for pid in (worker.pid, beat)]
            before, since = _cpu_s(processes), monotonic()

            def measure() -> Footprint:
                watched_s = monotonic() - since
                return Footprint(
                    pods=pods,
                    pss_mb=sum(process.memory_full_info().pss for process in processes) / _MB,
                    idle_cpu_percent=100 * (_cpu_s(processes) - before) / watched_s,
                    watched_s=watched_s,
                    start_s=start_s,
                )

            yield measure
    finally:
        worker.stop()


def queue_overhead(client: Client, rounds: int, burst: int) -> dict[str, float]:
    """Return milliseconds of a task that does nothing, and how many of them are done in a second.

    The task is `pods.list` of an empty store: two calls to Redis, none to the Engine.
    """
    times = []
    for _ in range(rounds):
        began = monotonic()
        client.call("list")
        times.append((monotonic() - began) * 1000)
    began = monotonic()
    for sent in [client.send("list") for _ in range(burst)]:
        client.receive(sent)
    return {"round_trip_ms": median(times), "tasks_per_s": burst / (monotonic() - began)}


@contextmanager
def _beat(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """Run beat; yield its process id."""
    with (folder / "beat.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.beat", "--schedule", str(folder / "beat")],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
