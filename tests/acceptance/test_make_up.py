"""`make up`: the whole stack in the foreground, on a machine where nothing else runs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.support.worker import ROOT
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine
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
    urllib.request.urlopen("http://127.0.0.1:5555/workers", timeout=5)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(error)
"""


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """A network namespace of its own, as the stack's ports are fixed; gives the words that enter it."""
    name = f"pinacle-up-{os.getpid()}"
    ip = find("ip") or "ip"
    subprocess.run([ip, "netns", "add", name], check=True)
    subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
    yield [find("nsenter") or "nsenter", f"--net=/run/netns/{name}", "--"]
    subprocess.run([ip, "netns", "delete", name], check=True)


@pytest.mark.parametrize("way", ["make", "service"])
def test_make_up_runs_everything_until_sigterm(scratch: Path, inside: list[str], way: str) -> None:
    """Redis, Engine, worker, beat and Flower come up by themselves, and nothing of them is left.

    As a person starts it, and as systemd does, which gives it no more than a path to programs.
    """
    folder = scratch / way
    environment = {**os.environ} if way == "make" else {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    environment |= {"PINACLE_FOLDER": str(folder), "DOCKER_HOST": f"unix://{scratch}/none.sock"}
    service = [sys.executable, "-m", "worker.local.up"]
    for name in ("PINACLE_REDIS_URL", "FLOWER_BASIC_AUTH"):
        environment.pop(name, None)
    log = scratch / f"{way}.log"
    with log.open("ab") as output:
        stack = subprocess.Popen(
            [*inside, *(["make", "--no-print-directory", "up"] if way == "make" else service)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(
            lambda: " ready." in log.read_text(errors="replace") and _ask(inside, FLOWER) == "401",
            90,
            what="worker and Flower",
            failed=lambda: log.read_text()[-2000:] if stack.poll() is not None else None,
        )
        file = folder / "redis-url"
        url = file.read_text()
        assert _ask(inside, CALL, url) == "{'pods': []}"
        assert [path.stat().st_mode & 0o077 for path in (file, folder / "redis" / "redis.conf")] == [0, 0]
        assert "NOAUTH" in _ask(inside, ANYBODY, "redis://127.0.0.1:6399/0")
        assert str(urlsplit(url).password) not in log.read_text() + _arguments()
    finally:
        stack.send_signal(SIGTERM)
        stack.wait(90)
        # Pods would outlive the stack, and so does the place that they run in.
        PrivateEngine(folder / "engine").destroy()


def _arguments() -> str:
    """Return those of all processes, which everybody on the machine can read."""
    return subprocess.run(["ps", "axo", "args"], check=True, capture_output=True, text=True).stdout


def _ask(inside: list[str], script: str, *arguments: str) -> str:
    command = [*inside, sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    return done.stdout.strip()
