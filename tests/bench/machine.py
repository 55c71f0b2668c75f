"""The machine on which this measures, and what else runs on it."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psutil

_MUCH: Final = 0.1
"""Of one core. A round in which others took more than this is marked."""
_KERNEL: Final = 2
"""Process id of what all threads of the kernel descend from; they work for whoever runs."""


def described() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
    }


def load() -> float:
    """Return how many processes wanted to run, on average over the last minute."""
    return os.getloadavg()[0]


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


class Disturbances:
    """Notices rounds in which others than the bench, including the hypervisor, took processor time."""

    def __init__(self, folder: Path) -> None:
        """`folder` is named in the command of everything that the bench starts, except its own children."""
        self._folder = f"{folder}/"
        self.shares: dict[str, list[float]] = defaultdict(list)
        """By section: of one core, what others took in each round."""

    @contextmanager
    def round(self, section: str) -> Iterator[None]:
        before, began = self._others_s(), monotonic()
        yield
        used = self._others_s() - before
        self.shares[section].append(round(max(0.0, used) / (monotonic() - began), 3))

    def disturbed(self) -> dict[str, list[int]]:
        """Return, by section, the numbers (from 1) of the rounds in which others took much."""
        marked = {
            section: [number for number, share in enumerate(shares, 1) if share > _MUCH]
            for section, shares in self.shares.items()
        }
        return {section: numbers for section, numbers in marked.items() if numbers}

    def _others_s(self) -> float:
        """Return the seconds of processor time that other processes and the hypervisor took."""
        found = {p.pid: p.info for p in psutil.process_iter(["ppid", "cmdline", "cpu_times"])}
        ours = {pid for pid, info in found.items() if pid in (os.getpid(), _KERNEL) or self._is_named(info)}
        for pid in sorted(found):  # Parents come first, as pids grow.
            if found[pid]["ppid"] in ours:
                ours.add(pid)
        times = [info["cpu_times"] for pid, info in found.items() if pid not in ours and info["cpu_times"]]
        stolen: float = getattr(psutil.cpu_times(), "steal", 0.0)
        return stolen + float(sum(each.user + each.system for each in times))

    def _is_named(self, info: dict[str, Any]) -> bool:
        return any(self._folder in word for word in info["cmdline"] or ())
