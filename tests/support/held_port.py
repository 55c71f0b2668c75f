"""A program of the Engine's host that listens on a port."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.local.private_engine import PrivateEngine

_HOLD: Final = """
import socket, sys
held = socket.socket()
held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind(("127.0.0.1", int(sys.argv[1])))
held.listen()
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_port(engine: PrivateEngine, port: int) -> Iterator[None]:
    """Let a program on the Engine's host listen on a port."""
    command = [*engine.inside(), sys.executable, "-c", _HOLD, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        try:
            yield
        finally:
            program.communicate()
