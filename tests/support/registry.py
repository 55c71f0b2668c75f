"""A real registry beside a private Engine, and a proxy before it that holds back what is pulled."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from worker.local.packages import find
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

REGISTRY: Final = "127.0.0.1:5000"
HELD_REGISTRY: Final = "127.0.0.1:5001"
"""The same registry, behind the proxy."""
_CONFIG: Final = """
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}/storage
http:
  addr: {address}
"""
_READY_S: Final = 20.0


@contextmanager
def running_registry(engine: PrivateEngine, folder: Path, more: str = "") -> Iterator[None]:
    """Run Debian's docker-registry in the Engine's network namespace, with `more` configuration."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, address=REGISTRY) + more)
    command = [find("docker-registry") or "docker-registry", "serve", str(folder / "config.yml")]
    with _beside(engine, command, REGISTRY, folder / "log"):
        yield


class Held:
    """Decides whether pulls through the proxy come to an end."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    @contextmanager
    def back(self) -> Iterator[None]:
        """Let through the beginning of each blob only, until this is left."""
        self._mark.touch()
        try:
            yield
        finally:
            self.go()

    def go(self) -> None:
        """Let everything through."""
        self._mark.unlink(missing_ok=True)


@contextmanager
def holding_proxy(engine: PrivateEngine, folder: Path) -> Iterator[Held]:
    """Run the proxy in the Engine's network namespace."""
    mark = folder / "held"
    command = [sys.executable, "-m", "tests.support.slow_line", HELD_REGISTRY, REGISTRY, str(mark)]
    with _beside(engine, command, HELD_REGISTRY, folder / "proxy-log"):
        yield Held(mark)


@contextmanager
def _beside(engine: PrivateEngine, command: list[str], address: str, log: Path) -> Iterator[None]:
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*engine.inside(), *command], stdin=subprocess.DEVNULL, stdout=written, stderr=written
        )
    host, _, port = address.partition(":")
    probe = [*engine.inside(), "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}"]
    try:
        wait_until(
            lambda: subprocess.run(probe, check=False, capture_output=True).returncode == 0,
            _READY_S,
            what=f"the server at {address}",
            failed=lambda: log.read_text() if process.poll() is not None else None,
        )
        yield
    finally:
        process.terminate()
        process.wait(10)
