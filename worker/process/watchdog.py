"""Ends a process whose event loop stalls: it would take messages and do nothing for them."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

_log: Final = structlog.get_logger(__name__)
EXIT_CODE: Final = 70
"""EX_SOFTWARE of sysexits.h: a fault in the program. Whatever supervises the worker starts it again."""
_LOOKS: Final = 20
"""How many looks it takes before a loop counts as stalled."""


def end_process() -> None:
    """End at once: without the loop, nothing can be ended properly. The records say where to go on."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_CODE)


class Watchdog:
    """Asks an event loop for a sign of life, from a thread of its own."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit_s: float,
        *,
        end: Callable[[], None] = end_process,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`end` is called once, if there was no sign for `limit_s` seconds; `clock` gives seconds."""
        self._loop = loop
        self._limit_s = limit_s
        self._end = end
        self._clock = clock
        self._every_s = limit_s / _LOOKS
        self._silent_s = 0.0
        self._looked_at = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; this has to be called before the loop ends."""
        self._over.set()

    def look(self) -> bool:
        """Ask once more; return whether the loop has stalled.

        A look that comes late counts like one on time: the whole process was suspended then, not just the
        loop.
        """
        now = self._clock()
        self._silent_s += min(now - self._looked_at, 2 * self._every_s)
        self._looked_at = now
        if self._silent_s > self._limit_s:
            return True
        self._loop.call_soon_threadsafe(self._answered)
        return False

    def _answered(self) -> None:
        self._silent_s = 0.0

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                stalled = self.look()
            except RuntimeError:
                return  # The loop is closed.
            if stalled:
                _log.critical("event_loop_stalled", seconds=round(self._silent_s, 1))
                self._end()
                return
