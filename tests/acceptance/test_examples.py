"""The examples for web developers do what the docs say, each run as a person would run it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from tests.acceptance.conftest import CACHE, ROOT
from worker.local.client import Client
from worker.local.packages import find, require
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

EXAMPLES: Final = ROOT / "docs" / "examples"


class Follower:
    """One run of an example: what it prints, and its end."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    def changes(self) -> list[list[str]]:
        """Return id, pod, phase and reason of each change that it has printed so far."""
        lines = self._output.read_text().splitlines()
        return [line.split(" ", 3) for line in lines if line[:1].isdigit()]

    def wait_for_text(self, text: str) -> None:
        wait_until(lambda: text in self._output.read_text(), 30, what=f"'{text}' being told")

    def wait_for(self, phase: str) -> None:
        wait_until(
            lambda: any(change[2] == phase for change in self.changes()),
            30,
            what=f"'{phase}' being told",
            failed=lambda: None if self.process.poll() is None else self._output.read_text(),
        )


@pytest.fixture(scope="module")
def node_example(scratch: Path) -> list[str]:
    """Install what follow.mjs needs, as its lock names it, outside the repository."""
    require("node", "npm")
    folder = scratch / "node"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("node_modules"))
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error")
    cache = ("--prefer-offline", f"--cache={CACHE / 'npm'}")
    subprocess.run([find("npm") or "npm", "ci", *quiet, *cache], cwd=folder, check=True)
    return [find("node") or "node", str(folder / "follow.mjs")]


@pytest.fixture(params=["python", "node"])
def example(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs one example."""
    if request.param == "python":
        return [sys.executable, str(EXAMPLES / "follow.py")]
    command: list[str] = request.getfixturevalue("node_example")
    return command


@contextmanager
def running(command: list[str], output: Path) -> Iterator[Follower]:
    with output.open("wb") as written:
        process = subprocess.Popen(
            command, cwd="/", env=_environment(), stdin=subprocess.DEVNULL, stdout=written, stderr=written
        )
    try:
        yield Follower(process, output)
    finally:
        process.kill()
        process.wait(10)


def test_an_example_creates_a_pod_and_misses_no_change_also_while_it_is_away(
    client: Client, busybox: str, settings: dict[str, str], example: list[str], tmp_path: Path
) -> None:
    """It is killed, and the pod is stopped meanwhile; it goes on after the last id until the deletion."""
    command = [*example, settings["PINACLE_REDIS_URL"], "followed", busybox]
    last_id = _newest(settings)
    with running(command, tmp_path / "first") as first:
        first.wait_for("running")
        _tell_of_a_pull(settings)
        first.wait_for_text("3 of 7 layers")
    client.call("stop", "followed")
    with running([*command, first.changes()[-1][0]], tmp_path / "second") as second:
        second.wait_for("running")
        client.call("delete", "followed")
        assert second.process.wait(20) == 0, (tmp_path / "second").read_text()
    assert first.changes() + second.changes() == _told(settings, last_id)
    assert "followed is running" in (tmp_path / "second").read_text()
    assert "missed" not in (tmp_path / "second").read_text()


def test_an_example_says_what_the_worker_refused(
    client: Client, settings: dict[str, str], example: list[str]
) -> None:
    """In the worker's own words, and not as a success."""
    command = [*example, settings["PINACLE_REDIS_URL"], "no/pod", "image"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, cwd="/", env=_environment()
    )
    assert done.returncode == 1
    assert "InvalidInputError" in done.stderr
    assert "no/pod" in done.stderr


def test_an_example_says_that_changes_were_missed(
    client: Client, busybox: str, settings: dict[str, str], example: list[str], tmp_path: Path
) -> None:
    """It is not possible to go on from an id that is not in the stream any more."""
    command = [*example, settings["PINACLE_REDIS_URL"], "late", busybox, "1-1"]
    with running(command, tmp_path / "late") as follower:
        follower.wait_for("running")
    assert "changes were missed" in (tmp_path / "late").read_text()


def test_the_example_for_node_goes_on_after_a_restart_of_redis(
    *,
    client: Client,
    busybox: str,
    settings: dict[str, str],
    redis_server: RedisServer,
    node_example: list[str],
    tmp_path: Path,
) -> None:
    """It runs all the time, and misses nothing."""
    last_id = _newest(settings)
    with running(
        [*node_example, settings["PINACLE_REDIS_URL"], "lasting", busybox], tmp_path / "out"
    ) as all_time:
        all_time.wait_for("running")
        redis_server.kill()
        redis_server.start()
        wait_until(lambda: _is_deleted(client, "lasting"), 60, what="the pod deleted")
        assert all_time.process.wait(30) == 0, (tmp_path / "out").read_text()
    assert all_time.changes() == _told(settings, last_id)


def test_what_is_installed_for_node_is_pinned_and_names_no_address() -> None:
    """By version and hash."""
    lock = (EXAMPLES / "package-lock.json").read_text()
    assert "://" not in lock
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/')


def _is_deleted(client: Client, pod_id: str) -> bool:
    """Ask for it; while Redis starts nobody answers."""
    with suppress(RedisError, OperationalError):
        return bool(client.call("delete", pod_id)["phase"] == "deleted")
    return False


def _tell_of_a_pull(settings: dict[str, str]) -> None:
    pull = {"done_bytes": 12_000_000, "total_bytes": 40_000_000, "done_layers": 3, "total_layers": 7}
    with Redis.from_url(settings["PINACLE_REDIS_URL"]) as redis:
        redis.xadd("pinacle:progress", {"pod_id": "other", **pull})


def _newest(settings: dict[str, str]) -> str:
    with _redis(settings) as redis:
        return next((last_id for last_id, _ in redis.xrevrange("pinacle:events", count=1)), "0-0")


def _told(settings: dict[str, str], last_id: str) -> list[list[str]]:
    """Return what is in the stream after an id, as the examples print it."""
    with _redis(settings) as redis:
        changes = redis.xrange("pinacle:events", f"({last_id}")
    return [[change_id, c["pod_id"], c["phase"], c["reason"]] for change_id, c in changes]


def _redis(settings: dict[str, str]) -> Any:
    return Redis.from_url(settings["PINACLE_REDIS_URL"], decode_responses=True)


def _environment() -> dict[str, str]:
    """Return an environment in which an example cannot import our code."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
