"""What our processes take: memory, idle processor time, start-up, and the queue's own share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Final

import psutil

from tests.bench.contenders import our_worker
from tests.support.worker import ROOT
from worker.local.client import Client

_MB: Final = 10**6


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Of worker and beat together."""

    pods: int
    pss_mb: float
    """Proportional: what processes share is counted once."""
    idle_cpu_percent: float
    """Of one core, over the time that was watched."""
    watched_s: float
    start_s: float
    """From the worker's start until it takes work."""


def footprint(folder: Path, environment: dict[str, str], *, pods: int, watched_s: float) -> Footprint:
    """Watch worker and beat at their default interval, with `pods` on the Engine and in Redis already."""
    began = monotonic()
    with our_worker(folder, environment, "footprint") as (worker, client):
        start_s = monotonic() - began
        with _beat(folder, worker.settings) as beat:
            client.call("list")
            processes = [psutil.Process(pid) for pid in (worker.pid, beat)]
            before = _cpu_s(processes)
            sleep(watched_s)  # an idle system has no event to wait for
            used = _cpu_s(processes) - before
            pss = sum(process.memory_full_info().pss for process in processes) / _MB
    return Footprint(
        pods=pods,
        pss_mb=pss,
        idle_cpu_percent=100 * used / watched_s,
        watched_s=watched_s,
        start_s=start_s,
    )


def queue_overhead(client: Client, rounds: int, burst: int) -> tuple[float, float]:
    """Return milliseconds of a task that does nothing, and how many of them are done in a second.

    The task is `pods.list` of an empty store: one call to Redis, none to the Engine.
    """
    times = []
    for _ in range(rounds):
        began = monotonic()
        client.call("list")
        times.append((monotonic() - began) * 1000)
    began = monotonic()
    for sent in [client.send("list") for _ in range(burst)]:
        client.receive(sent)
    return median(times), burst / (monotonic() - began)


@contextmanager
def _beat(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """Have beat; yields its process id."""
    schedule = str(folder / "beat")
    command = [sys.executable, "-m", "celery", "-A", "worker.beat:app", "beat", "--schedule", schedule]
    with (folder / "beat.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--pidfile="],
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
