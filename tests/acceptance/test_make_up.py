"""`make up`: the whole stack in the foreground, on a machine where nothing else runs."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from signal import SIGTERM
from typing import IO, Final
from urllib.parse import urlsplit

import pexpect
import pytest

from tests.conftest import CACHE
from tests.support.locales import turkish
from tests.support.machine import OUTSIDE, PORT, Machine, debian_repository, machine
from tests.support.worker import ROOT
from worker.local.images import import_debian
from worker.local.packages import find
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.local.waiting import wait_until

CALL: Final = """
import sys
from worker.local.client import Client
client = Client(sys.argv[1])
print(client.call("list"))
client.close()
"""
ANYBODY: Final = """
import sys
from redis import Redis
try:
    Redis.from_url(sys.argv[1], protocol=2).keys()
except Exception as error:
    print("NOAUTH" if "uthentication required" in str(error) else error)
"""
FLOWER: Final = """
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:5566/workers", timeout=5)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(error)
"""


PROMPT: Final = "root@abc:[^#]*# "


@pytest.fixture(scope="module")
def here(scratch: Path) -> Iterator[Machine]:
    """A machine with nothing else on it, as the stack's ports are fixed; outside is a package repository."""
    served = scratch / "served"
    debian_repository(served, "busybox-greeter", Path(find("busybox") or "busybox"))
    with machine("up", served) as here:
        yield here


@pytest.fixture(scope="module")
def environment(scratch: Path) -> dict[str, str]:
    """An environment as services get it from systemd: only a path, and a language. No Engine answers."""
    return turkish(scratch / "locales") | {
        "PATH": os.environ["PATH"],
        # Long, and with a space in it.
        "PINACLE_FOLDER": str(
            scratch / "a-folder-with-a-name-that-is-long" / "as-those-of-some-homes are" / "up"
        ),
        "DOCKER_HOST": f"unix://{scratch}/none.sock",
        "FLOWER_PORT": "5566",
    }


@pytest.fixture(scope="module")
def stack(scratch: Path, here: Machine, environment: dict[str, str]) -> Iterator["Stack"]:
    """The stack, with its standard output on a socket, as journald's is."""
    folder, log = Path(environment["PINACLE_FOLDER"]), scratch / "up.log"
    ours, theirs = socket.socketpair()
    with log.open("wb") as written:
        keeper = threading.Thread(target=_keep, args=(ours, written))
        keeper.start()
        process = subprocess.Popen(
            [*here.inside, "make", "--no-print-directory", "-C", str(ROOT), "up"],
            # From anywhere, and whatever the umask.
            cwd="/",
            umask=0o077,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=theirs.fileno(),
            stderr=theirs.fileno(),
        )
        theirs.close()
        try:
            wait_until(
                lambda: "It runs." in log.read_text(errors="replace") and _ask(here, FLOWER) == "401",
                90,
                what="worker and Flower",
                failed=lambda: log.read_text()[-2000:] if process.poll() is not None else None,
            )
            yield Stack(folder, log, PrivateEngine(folder / "engine"), process)
        finally:
            process.send_signal(SIGTERM)
            process.wait(90)
            keeper.join(30)
            # Pods would outlive the stack, and so does the folder in which they run.
            PrivateEngine(folder / "engine").destroy()


@dataclass(frozen=True)
class Stack:
    folder: Path
    log: Path
    engine: PrivateEngine
    process: "subprocess.Popen[bytes]"

    def lines(self) -> list[str]:
        """Return the lines that it says to paste into another terminal."""
        said = self.log.read_text(errors="replace").partition("It runs. In another terminal:")[2]
        return [line.strip() for line in said.splitlines() if line.startswith("  ")]


def _keep(reading: socket.socket, written: IO[bytes]) -> None:
    while piece := reading.recv(65536):
        written.write(piece)
        written.flush()
    reading.close()


def test_everything_runs_and_is_its_owners_alone(stack: Stack, here: Machine) -> None:
    """Redis, Engine, worker, beat and Flower come up by themselves."""
    file = stack.folder / "redis-url"
    url = file.read_text()
    assert _ask(here, CALL, url) == "{'pods': []}"
    assert [path.stat().st_mode & 0o077 for path in (file, stack.folder / "redis" / "redis.conf")] == [0, 0]
    assert "NOAUTH" in _ask(here, ANYBODY, "redis://127.0.0.1:6399/0")
    assert str(urlsplit(url).password) not in stack.log.read_text() + _arguments()


def test_a_second_one_says_that_it_runs(stack: Stack, here: Machine, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*here.inside, sys.executable, "-m", "worker.local.up"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: it runs already, as process \d+; that is ended by: kill \d+\n", done.stderr)


def test_ports_of_another_stack_are_named_with_the_setting_for_others(
    stack: Stack, here: Machine, environment: dict[str, str], tmp_path: Path
) -> None:
    """Such as those of docker compose; nothing is begun beside it."""
    beside = {**environment, "PINACLE_FOLDER": str(tmp_path / "beside"), "DOCKER_HOST": stack.engine.url}
    done = subprocess.run(
        [*here.inside, sys.executable, "-m", "worker.local.up"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=beside,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: port 5566 of 127.0.0.1 is taken, and needed for Flower: set FLOWER_PORT to another one\n"
    )
    assert not (tmp_path / "beside" / "engine").exists()


def test_the_lines_that_it_prints_lead_to_a_pod_that_keeps_what_is_installed(
    stack: Stack, here: Machine, tmp_path: Path
) -> None:
    """They are pasted unchanged: a pod, a shell in it, an outside package, a published port, an accident."""
    import_debian(stack.engine, CACHE, "debian:12-slim")
    *before, create, shell = stack.lines()
    script = tmp_path / "paste"
    script.write_text("\n".join(["set -e", *before, f"{create} --port 8080:8080", f"exec {shell}"]))
    shown = StringIO()
    with pexpect.spawn(
        here.inside[0], [*here.inside[1:], "bash", str(script)], env=_clean(), encoding="utf-8", timeout=120
    ) as terminal:
        terminal.logfile_read = shown
        source = f"deb [trusted=yes] http://{OUTSIDE}:{PORT} ./"
        # Each one once the one before has ended: apt-get would read what is typed ahead.
        for line in (
            f"echo '{source}' >/etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*",
            "apt-get update",
            "apt-get install -y busybox-greeter",
            "mkdir /srv/www; echo hello >/srv/www/index.html",
            "busybox-greeter httpd -p 8080 -h /srv/www",
            "exit 4",
        ):
            terminal.expect(PROMPT)
            terminal.sendline(line)
        terminal.expect(pexpect.EOF)
        assert terminal.wait() == 4, shown.getvalue()
    assert _answer(here) == "hello\n"
    stack.engine.docker("rm", "-f", "pinacle-pod-abc")
    wait_until(lambda: _installed(stack) == "hello\n", 60, what="the package, in another container")


def _installed(stack: Stack) -> str:
    try:
        return stack.engine.docker("exec", "pinacle-pod-abc", "busybox-greeter", "cat", "/srv/www/index.html")
    except EngineFailedError as error:
        return str(error)


def _answer(here: Machine) -> str:
    return here.run("curl", "-sS", "--max-time", "5", "http://127.0.0.1:8080/")


def _clean() -> dict[str, str]:
    """Return the environment of a person who has set nothing of ours."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PINACLE_", "DOCKER_"))
    } | {"TERM": "xterm"}


def _arguments() -> str:
    """Return the arguments of all processes, which everybody on the machine can read."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # It ended meanwhile.
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def _ask(here: Machine, script: str, *arguments: str) -> str:
    command = [*here.inside, sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    return done.stdout.strip()
