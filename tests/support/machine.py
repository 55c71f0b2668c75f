"""A machine of its own as far as the network goes, with another one that it can reach."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from worker.local.packages import find
from worker.local.waiting import wait_until

OUTSIDE: Final = "198.51.100.1"
"""An address of the internet, set apart for documentation: no rule against private ones is about it."""
PORT: Final = 8000
_HERE, _THERE = "10.77.0.2/24", "10.77.0.1"
_READY_S: Final = 20


@dataclass(frozen=True)
class Machine:
    """A network namespace with an interface that leads out of it."""

    name: str

    @property
    def inside(self) -> list[str]:
        """The words before a command that runs it there."""
        return [find("nsenter") or "nsenter", f"--net=/run/netns/{self.name}", "--"]

    def run(self, *command: str) -> str:
        """Run a command there; return what it prints."""
        done = subprocess.run([*self.inside, *command], check=True, capture_output=True, text=True)
        return done.stdout


@contextmanager
def machine(name: str, served: Path) -> Iterator[Machine]:
    """Yield a machine, with an HTTP server outside it, at `OUTSIDE`, that serves a folder."""
    here, there = Machine(f"{name}-{os.getpid()}"), Machine(f"{name}-out-{os.getpid()}")
    try:
        for each in (here, there):
            _ip("netns", "add", each.name)
            _ip("-n", each.name, "link", "set", "lo", "up")
        _ip("-n", here.name, "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", there.name)
        _ip("-n", here.name, "addr", "add", _HERE, "dev", "eth0")
        _ip("-n", there.name, "addr", "add", f"{_THERE}/24", "dev", "eth0")
        _ip("-n", there.name, "addr", "add", f"{OUTSIDE}/32", "dev", "lo")
        for each in (here, there):
            _ip("-n", each.name, "link", "set", "eth0", "up")
        _ip("-n", here.name, "route", "add", "default", "via", _THERE)
        with _serving(there, served):
            yield here
    finally:
        for each in (here, there):
            if Path("/run/netns", each.name).exists():
                _ip("netns", "delete", each.name)


@contextmanager
def _serving(there: Machine, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "http.server", str(PORT), "--bind", OUTSIDE, "--directory", str(folder)]
    server = subprocess.Popen([*there.inside, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    probe = f"import socket; socket.create_connection(({OUTSIDE!r}, {PORT}), 1)"
    try:
        wait_until(
            lambda: (
                subprocess.run(
                    [*there.inside, sys.executable, "-c", probe], check=False, capture_output=True
                ).returncode
                == 0
            ),
            _READY_S,
            what="a server outside",
        )
        yield
    finally:
        server.kill()
        server.wait()


def debian_repository(folder: Path, package: str, program: Path) -> None:
    """Make a repository for `apt-get` of one package, which brings one program to /usr/bin."""
    root = folder / "build"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "usr" / "bin").mkdir(parents=True)
    control = [f"Package: {package}", "Version: 1", "Architecture: all", "Maintainer: none <none@localhost>"]
    (root / "DEBIAN" / "control").write_text("\n".join([*control, "Description: test", ""]))
    target = root / "usr" / "bin" / package
    target.write_bytes(program.read_bytes())
    target.chmod(0o755)
    name = f"{package}_1_all.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", root, folder / name], check=True, capture_output=True
    )
    content = (folder / name).read_bytes()
    entry = [f"Filename: ./{name}", f"Size: {len(content)}", f"SHA256: {sha256(content).hexdigest()}"]
    (folder / "Packages").write_text("\n".join([*control, "Description: test", *entry, ""]))


def _ip(*words: str) -> None:
    subprocess.run([find("ip") or "ip", *words], check=True)
