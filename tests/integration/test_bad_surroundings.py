"""An unusable Engine or Redis: one clear event, no stack trace, and the worker works once it is fixed."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


class _OldEngine(BaseHTTPRequestHandler):
    """Answers like Docker 17.05."""

    def do_GET(self) -> None:
        body = json.dumps({"ApiVersion": "1.29", "Version": "17.05.0-ce"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return "unix"


@contextmanager
def _old_engine(path: Path) -> Iterator[None]:
    with ThreadingUnixStreamServer(str(path), _OldEngine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def surroundings(settings: dict[str, str], own_redis: RedisServer) -> dict[str, str]:
    return {**settings, "PINACLE_REDIS_URL": own_redis.url, "PINACLE_HEARTBEAT_TTL_S": "4"}


@contextmanager
def _waiting_worker(folder: Path, settings: dict[str, str]) -> Iterator[WorkerProcess]:
    """A worker whose start ends only once somebody has fixed what it waits for."""
    worker = WorkerProcess(folder, settings)
    starting = threading.Thread(target=worker.start)
    starting.start()
    try:
        wait_until(lambda: bool(_events(worker, "worker_waits")), 30, what="an event that says what is wrong")
        yield worker
        starting.join()
    finally:
        starting.join()
        worker.stop()


def _events(worker: WorkerProcess, name: str) -> list[dict[str, Any]]:
    lines = (
        [line for line in worker.text().splitlines() if line.startswith("{")] if worker.log.exists() else []
    )
    return [event for event in map(json.loads, lines) if event.get("event") == name]


def test_an_engine_that_is_too_old(
    tmp_path: Path, scratch: Path, surroundings: dict[str, str], engine: PrivateEngine
) -> None:
    """The version that is needed is named; with a newer Engine in its place it begins."""
    link, old = scratch / "link.sock", scratch / "old.sock"
    with _old_engine(old):
        link.symlink_to(old)
        with _waiting_worker(tmp_path, {**surroundings, "DOCKER_HOST": f"unix://{link}"}) as worker:
            link.unlink()
            link.symlink_to(engine.socket)
        (event,) = _events(worker, "worker_waits")
    assert "speaks API" in event["reason"]
    assert "needed: 1.41 or newer" in event["reason"]
    assert "Traceback" not in worker.text(), worker.text()
    link.unlink()
    old.unlink()


def test_a_misspelt_setting_ends_the_worker_and_an_unknown_one_is_logged_once(
    tmp_path: Path, surroundings: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker"],
        cwd=ROOT,
        env={**os.environ, **surroundings, "PINACLE_REDIS_ULR": "redis://canary"},
        check=False,
        capture_output=True,
        text=True,
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("error: PINACLE_REDIS_ULR is no setting")
    assert "did you mean PINACLE_REDIS_URL?" in line
    worker = WorkerProcess(tmp_path, {**surroundings, "PINACLE_OF_A_LATER_VERSION": "canary"})
    worker.start()
    assert worker.stop() == 0
    (event,) = _events(worker, "settings_unknown")
    assert "PINACLE_OF_A_LATER_VERSION" in event["variables"]
    assert "canary" not in worker.text()


@pytest.mark.parametrize("value", ["nonsense", "ftp://127.0.0.1", "unix://"])
def test_a_docker_host_that_is_none(surroundings: dict[str, str], value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker.app:app", "worker"],
        cwd=ROOT,
        env={**os.environ, **surroundings, "DOCKER_HOST": value},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "DOCKER_HOST" in done.stderr
    assert "unix:///" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr[-3000:]


def test_a_redis_that_asks_for_a_password(
    tmp_path: Path, surroundings: dict[str, str], own_redis: RedisServer
) -> None:
    """The worker says once which setting lacks it, and begins when the password is right."""
    with Redis.from_url(own_redis.url) as admin:
        admin.config_set("requirepass", "canary")
        with _waiting_worker(tmp_path, surroundings) as worker:
            admin.config_set("requirepass", "")
    (event,) = _events(worker, "worker_waits")
    assert "PINACLE_REDIS_PASSWORD" in event["reason"]
    assert "Traceback" not in worker.text(), worker.text()


def test_a_redis_that_refuses_writes(
    tmp_path: Path, surroundings: dict[str, str], own_redis: RedisServer, busybox: str
) -> None:
    """Its memory is used up, so it takes no message; the worker says so once, and goes on by itself."""
    worker, client = WorkerProcess(tmp_path, surroundings), Client(own_redis.url)
    worker.start()
    try:
        assert client.call("create", "before", SPEC)["phase"] == "running"
        with Redis.from_url(own_redis.url) as admin:
            admin.config_set("maxmemory", "1")
            wait_until(
                lambda: bool(_events(worker, "heartbeat_failed")), 20, what="an event that says what is wrong"
            )
            admin.config_set("maxmemory", "0")
        wait_until(lambda: bool(_events(worker, "heartbeat_resumed")), 20, what="a worker that goes on")
        assert client.call("create", "after", SPEC)["phase"] == "running"
        (event,) = _events(worker, "heartbeat_failed")
        assert "maxmemory" in event["reason"]
        assert "Traceback" not in worker.text(), worker.text()
        for pod in ("before", "after"):
            assert client.call("delete", pod)["phase"] == "deleted"
    finally:
        client.close()
        worker.stop()
