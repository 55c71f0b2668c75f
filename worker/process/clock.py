"""The wall clock can be set, by a person or by a time server; whoever reads the log should know of it."""

from collections.abc import Callable
from time import monotonic, time
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)
LEAST_JUMP_S: Final = 5.0
"""Less than this is how time servers keep a clock right."""


class ClockWatch:
    """Compares the wall clock with one that nobody sets, each time it is asked to.

    Nothing depends on it: what is due is judged by `worker.planner.backoff.is_due`, leases and passes go by
    the monotonic clock. A machine that was suspended shows as a jump ahead.
    """

    def __init__(self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic) -> None:
        """Both give seconds."""
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def look(self) -> float:
        """Return by how many seconds the wall clock was set since the last look, and log it if it was."""
        offset = self._wall() - self._steady()
        jumped, self._offset = offset - self._offset, offset
        if abs(jumped) < LEAST_JUMP_S:
            return 0.0
        _log.warning("clock_jumped", seconds=round(jumped, 1))
        return jumped
