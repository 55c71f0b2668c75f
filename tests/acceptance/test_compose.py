"""The compose stack comes up for real, healthy, and does the main job through Flower's HTTP API."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.acceptance.conftest import CACHE, ROOT, run_inside
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.compose import compose_program
from worker.local.engine import PrivateEngine
from worker.local.waiting import wait_until

AUTH: Final = "operator:a-password-for-the-test"
SERVICES: Final = ("redis", "worker", "beat", "flower")
REQUEST: Final = """
import sys, urllib.request, urllib.error
method, url, auth, body = sys.argv[1:]
request = urllib.request.Request(url, method=method, data=body.encode() or None)
request.add_header("Content-Type", "application/json")
if auth:
    request.add_header("Authorization", "Basic " + auth)
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, "")
except OSError as error:
    print(0, error)
"""
"""Run in the Engine's network namespace: Flower listens on loopback there. Status 0 is no connection."""

Ask = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def compose(
    engine: PrivateEngine, worker_image: str, python_base: str, busybox: str
) -> Iterator[Callable[..., str]]:
    """Bring the stack up, and take it down with its volume."""
    environment = {
        **os.environ,
        "DOCKER_HOST": engine.url,
        "DOCKER_SOCKET": str(engine.socket),
        "PYTHON_IMAGE": python_base,
        "REDIS_IMAGE": python_base,
        "REDIS_PASSWORD": "another-password-for-the-test",
        "FLOWER_BASIC_AUTH": AUTH,
        "PINACLE_RECONCILE_INTERVAL_S": "3",
    }
    command = [str(compose_program(CACHE)), "-p", "pinacle-test"]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], check=False, capture_output=True, text=True, cwd=ROOT, env=environment
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr[-3000:]}"
        return done.stdout

    try:
        run("up", "-d", "--no-build", "--wait", "--wait-timeout", "120")
        yield run
    except BaseException:
        print(run("logs", "--tail", "30"))
        raise
    finally:
        run("down", "--volumes", "--timeout", "60")


@pytest.fixture
def ask(engine: PrivateEngine) -> Ask:
    """Send a request to Flower; returns status and body."""

    def send(method: str, path: str, body: Any = None, *, auth: str = AUTH) -> tuple[int, str]:
        encoded = base64.b64encode(auth.encode()).decode() if auth else ""
        text = "" if body is None else json.dumps(body)
        url = f"http://127.0.0.1:5555{path}"
        done = run_inside(engine, sys.executable, "-c", REQUEST, method, url, encoded, text)
        assert done.returncode == 0, done.stderr
        status, _, answer = done.stdout.partition(" ")
        return int(status), answer

    return send


def call(ask: Ask, task: str, *args: Any) -> dict[str, Any]:
    """Call a task through Flower and wait for what it answers."""
    status, text = ask("POST", f"/api/task/apply/pods.{task}", {"args": list(args)})
    assert status == 200, text
    result: dict[str, Any] = json.loads(text)["result"]
    return result


def test_every_service_is_up_and_healthy(compose: Callable[..., str]) -> None:
    """As its own health check says."""
    shown = [json.loads(line) for line in compose("ps", "--format", "json").splitlines()]
    assert {service["Service"]: service["Health"] for service in shown} == dict.fromkeys(SERVICES, "healthy")


@pytest.mark.parametrize("path", ["/", "/tasks", "/workers", "/broker", "/api/tasks", "/api/workers"])
def test_flower_asks_for_a_password_on_every_page_with_data(
    compose: Callable[..., str], ask: Ask, path: str
) -> None:
    """And shows it to who has it."""
    assert ask("GET", path, auth="")[0] == 401
    assert ask("GET", path, auth="operator:wrong")[0] == 401
    assert ask("GET", path)[0] == 200


def test_a_pod_created_through_flower_survives_the_loss_of_its_container(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine
) -> None:
    """Created, lost, brought back on its volumes by beat's pass, deleted."""
    answer = call(ask, "create", "composed", {"image": "pinacle-busybox"})
    assert answer["phase"] == "running", answer
    pod = Pod(Client("redis://nobody"), engine, "composed")
    pod.sh("echo mine > /workspace/file")
    pod.lose_container()
    pod.wait_for_another_container()
    assert pod.sh("cat /workspace/file") == "mine"
    assert call(ask, "delete", "composed")["phase"] == "deleted"


def test_restarting_each_service_loses_nothing(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine
) -> None:
    """The pod runs on meanwhile, and obeys afterwards."""
    assert call(ask, "create", "steady", {"image": "pinacle-busybox"})["phase"] == "running"
    pod = Pod(Client("redis://nobody"), engine, "steady")
    first = pod.container_id()
    for service in SERVICES:
        compose("restart", service)
        assert pod.container_id() == first
    wait_until(lambda: ask("GET", "/healthcheck")[0] == 200, 60, what="Flower")
    assert call(ask, "stop", "steady")["phase"] == "stopped"
    assert call(ask, "delete", "steady")["phase"] == "deleted"
