"""How much memory worker and Redis have, over time, and whether it grows."""

import threading
from dataclasses import dataclass, field
from statistics import linear_regression, median
from time import monotonic
from typing import Any, Final

import psutil
from redis import Redis

from tests.load.answers import PREFIX

_MB: Final = 1e6


@dataclass
class Series:
    """Megabytes, each with the second at which they were measured."""

    at: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)

    def thirds(self) -> tuple[float, float]:
        """Return the medians of the second and the last third; the first is the warm-up."""
        third = len(self.mb) // 3
        return median(self.mb[third : 2 * third]), median(self.mb[2 * third :])

    def per_minute(self) -> float:
        """Return megabytes a minute after the warm-up, by a straight line through all samples."""
        third = len(self.mb) // 3
        return linear_regression(self.at[third:], self.mb[third:]).slope * 60


class Memory:
    """Samples until the test ends it."""

    def __init__(self, worker_pid: int, redis: Redis, every_s: float) -> None:
        self._worker, self._redis, self._every_s = psutil.Process(worker_pid), redis, every_s
        self.worker = Series()
        """What is its own: shared pages are not counted."""
        self.redis = Series()
        """What Redis keeps besides answers."""
        self.answers = Series()
        """Answers, which are kept for a minute: as many and as long as what was asked in that minute."""
        self.lasting_keys = Series()
        """Keys that do not expire, in numbers rather than megabytes."""

    def watch(self, end: threading.Event) -> None:
        began = monotonic()
        while not end.wait(self._every_s):
            now = monotonic() - began
            memory: Any = self._redis.info("memory")
            answers = self._answers() / _MB
            keys: Any = self._redis.info("keyspace")
            counted = keys.get("db0", {"keys": 0, "expires": 0})
            for series, value in (
                (self.worker, self._worker.memory_full_info().uss / _MB),
                (self.redis, memory["used_memory"] / _MB - answers),
                (self.answers, answers),
                (self.lasting_keys, float(counted["keys"] - counted["expires"])),
            ):
                series.at.append(now)
                series.mb.append(value)

    def _answers(self) -> int:
        """Return the bytes of all answers that expire: one that does not is a leak, and counts as one."""
        pipe = self._redis.pipeline(transaction=False)
        for key in self._redis.scan_iter(match=f"{PREFIX}*", count=1000):
            pipe.ttl(key)
            pipe.memory_usage(key, samples=0)
        found = pipe.execute()
        return sum(size or 0 for ttl, size in zip(found[::2], found[1::2], strict=True) if ttl >= 0)
