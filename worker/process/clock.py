"""Logs when the wall clock is set, by a person or a time server: readers of the log should know that."""

from collections.abc import Callable
from time import monotonic, time
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)
LEAST_JUMP_S: Final = 5.0
"""Smaller corrections are normal: time servers keep clocks right that way."""


class ClockWatch:
    """Compares the wall clock with the monotonic one, each time it is asked to.

    Nothing depends on it: `worker.planner.backoff.is_due` judges what is due, and leases and passes use the
    monotonic clock. A suspended machine shows as a jump ahead.
    """

    def __init__(self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic) -> None:
        """Both clocks give seconds."""
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def look(self) -> float:
        """Return by how many seconds the wall clock was set since the last look; log it if it was set."""
        offset = self._wall() - self._steady()
        jumped, self._offset = offset - self._offset, offset
        if abs(jumped) < LEAST_JUMP_S:
            return 0.0
        _log.warning("clock_jumped", seconds=round(jumped, 1))
        return jumped
