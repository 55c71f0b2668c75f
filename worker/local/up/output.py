"""What the stack prints, on its way to wherever standard output leads."""

import os
import sys
from contextlib import suppress
from typing import Final

_PIECE: Final = 65536
_READY: Final = b" ready."
"""What Celery prints when a worker takes work."""


def pass_on_output(once_ready: str) -> None:
    """Let all that this process prints from now on pass through another process, which outlives this one.

    supervisord opens its standard output again by name, which is impossible for a socket such as journald's,
    and blocks if nobody reads. `once_ready` is printed once, when the worker is ready.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        # Ctrl-C is for the stack: this process ends once the stack prints nothing more.
        os.setsid()
        _copy(reading, once_ready.encode())
        os._exit(0)
    os.close(reading)
    os.dup2(writing, sys.stdout.fileno())
    os.close(writing)


def _copy(reading: int, once_ready: bytes) -> None:
    before = b""
    while piece := os.read(reading, _PIECE):
        _print(piece)
        before = (before + piece)[-_PIECE:]
        if once_ready and _READY in before and before.endswith(b"\n"):
            _print(once_ready)
            once_ready = b""


def _print(content: bytes) -> None:
    # If nobody reads any more, the stack still goes on.
    with suppress(OSError):
        while content:
            content = content[os.write(sys.stdout.fileno(), content) :]
