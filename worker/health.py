"""`python -m worker.health`: whether the worker of this machine is well, by the age of its heartbeat.

An outage of Redis or of the Engine is no reason to restart a worker: its heart, which its event loop beats,
goes on.
"""

import sys
import tempfile
from pathlib import Path
from time import time
from typing import Final

HEARTBEAT_FILE: Final = Path(tempfile.gettempdir()) / "pinacle-heartbeat"
OLDEST_S: Final = 30.0


def beat() -> None:
    """Note that the event loop runs."""
    HEARTBEAT_FILE.touch()


def stop() -> None:
    """Note that it ends as it should: nobody is to miss its heart."""
    HEARTBEAT_FILE.unlink(missing_ok=True)


def age_s() -> float | None:
    """Return seconds since the last beat, None if there was none."""
    try:
        return time() - HEARTBEAT_FILE.stat().st_mtime
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    seconds = age_s()
    if seconds is None or seconds > OLDEST_S:
        sys.exit(f"no heartbeat in {HEARTBEAT_FILE} for {OLDEST_S:g} s: the worker hangs or has not begun")
