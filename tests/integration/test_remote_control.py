"""Remote control, by Celery and by Flower: a command does what it says, or it is refused."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from config.celery import make_app
from tests.support.worker import ROOT, WorkerProcess
from worker.intake.control import ControlRefusedError
from worker.local.client import Client
from worker.local.redis import free_port
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
REFUSED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "terminate": ("cannot be terminated", {"task_id": "some-task", "signal": "SIGKILL"}),
    "revoke": ("cannot be terminated", {"task_id": "some-task", "terminate": True}),
    "revoke_by_stamped_headers": ("cannot be terminated", {"headers": {"a": "b"}, "terminate": True}),
    "rate_limit": ("rate limits are not supported", {"task_name": "pods.get", "rate_limit": "1/h"}),
    "time_limit": ("time limits are not supported", {"task_name": "pods.get", "soft": 1.0, "hard": 1.0}),
}


@pytest.fixture(scope="module")
def control(pod_worker: WorkerProcess, client: Client, busybox: str) -> Any:
    """Celery's own remote control, from an app that is not ours.

    A worker takes tasks before it listens to remote control, and Redis drops what nobody listens to.
    """
    wait_until(lambda: bool(client.control.ping(timeout=1)), 60, what="remote control listens")
    return client.control


@pytest.mark.parametrize("command", REFUSED)
def test_a_worker_refuses_what_would_have_no_effect(command: str, control: Any, client: Client) -> None:
    """It says so, and tasks of that name and all others go on as before."""
    text, arguments = REFUSED[command]
    answers = control.broadcast(command, arguments=arguments, reply=True, timeout=10, limit=1)
    assert [text in answer["error"] for one in answers for answer in one.values()] == [True], answers
    for _ in range(3):
        assert client.call("list")["pods"] == []
        assert client.error("get", "nobody").startswith("PodNotFoundError")


def test_a_task_that_nobody_has_taken_is_revoked(control: Any, client: Client) -> None:
    """It never runs, and its caller learns that."""
    answers = control.broadcast("revoke", arguments={"task_id": "not-yet"}, reply=True, timeout=10, limit=1)
    assert ["flagged as revoked" in answer["ok"] for one in answers for answer in one.values()] == [True]
    sent = client.send("create", "unwanted", SPEC, task_id="not-yet")
    assert client.outcome(sent).startswith("TaskRevokedError")
    assert client.error("get", "unwanted").startswith("PodNotFoundError")


def test_a_task_that_was_begun_is_not_revoked(control: Any, client: Client) -> None:
    """Nothing is revoked, not even the other tasks that were named, and the task's answer is valid."""
    sent = client.send("create", "wanted", SPEC)
    assert client.receive(sent)["phase"] == "running"
    arguments = {"task_id": [sent.id, "later"]}
    answers = control.broadcast("revoke", arguments=arguments, reply=True, timeout=10, limit=1)
    assert [
        f"has begun with {sent.id};" in answer["error"] for one in answers for answer in one.values()
    ] == [True]
    assert client.receive(client.send("stop", "wanted", task_id="later"))["phase"] == "stopped"
    assert client.call("delete", "wanted")["phase"] == "deleted"


def test_a_program_with_our_app_is_refused_before_anything_is_sent(settings: dict[str, str]) -> None:
    app = make_app(broker_url=settings["PINACLE_REDIS_URL"], result_backend=settings["PINACLE_REDIS_URL"])
    try:
        with pytest.raises(ControlRefusedError, match="cannot be terminated"):
            app.control.revoke("some-task", terminate=True)
        with pytest.raises(ControlRefusedError, match="cannot be terminated"):
            app.control.terminate("some-task")
    finally:
        app.close()


@pytest.fixture(scope="module")
def flower(scratch: Path, settings: dict[str, str], pod_worker: WorkerProcess) -> Iterator[str]:
    port = free_port()
    command = ["celery", "-A", "worker.flower:app", "flower", "--address=127.0.0.1", f"--port={port}"]
    with (scratch / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, **settings, "FLOWER_UNAUTHENTICATED_API": "true"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/api"
    wait_until(
        lambda: "@" in ask(f"{url}/workers?refresh=1", method="GET")[1],
        90,
        what="Flower that knows a worker",
        failed=lambda: None if process.poll() is None else (scratch / "flower.log").read_text()[-2000:],
    )
    yield url
    process.terminate()
    process.wait(30)


def ask(url: str, method: str = "POST", **arguments: str) -> tuple[int, str]:
    """Return status and body of Flower's answer; 0 if there is none."""
    data = urlencode(arguments).encode() if method == "POST" else None
    try:
        request = urllib.request.Request(url, data, method=method)  # noqa: S310 - it is http
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_flower_shows_the_refusal(flower: str, client: Client) -> None:
    """For Terminate, for Revoke if the task has begun, for a rate limit and for time limits."""
    sent = client.send("list")
    client.receive(sent)
    worker = ask(f"{flower}/workers", method="GET")[1].split('"')[1]
    status, text = ask(f"{flower}/task/revoke/{sent.id}?terminate=true")
    assert (status, "cannot be terminated" in text) == (403, True), text
    status, text = ask(f"{flower}/task/revoke/{sent.id}")
    assert (status, "has begun" in text) == (403, True), text
    status, text = ask(f"{flower}/task/rate-limit/pods.get", workername=worker, ratelimit="1/h")
    assert (status, "rate limits are not supported" in text) == (403, True), text
    status, text = ask(f"{flower}/task/timeout/pods.get", workername=worker, soft="1", hard="1")
    assert (status, "time limits are not supported" in text) == (403, True), text
    assert ask(f"{flower}/task/revoke/never-sent") == (200, '{"message": "Revoked \'never-sent\'"}')
