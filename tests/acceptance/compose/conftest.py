"""The compose stack, for all tests of this folder."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from tests.acceptance.conftest import CACHE, ROOT, run_inside
from tests.support.engines import remove_tables
from worker.local.compose import compose_program
from worker.local.private_engine import PrivateEngine

PROJECT: Final = "pinacle-test"
AUTH: Final = "operator:a-password-for-the-test"
REDIS_PASSWORD: Final = "a/b+c==@#%41?&:[' \"x"  # noqa: S105 - of the stack below
"""With all that a URL, a line of Redis' configuration or a shell would take for something else."""
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


@pytest.fixture(scope="package")
def environment(engine: PrivateEngine, python_base: str, prometheus_image: str) -> dict[str, str]:
    """What the stack is configured with."""
    return {
        **os.environ,
        "DOCKER_HOST": engine.url,
        "DOCKER_SOCKET": str(engine.socket),
        "PYTHON_IMAGE": python_base,
        "REDIS_IMAGE": python_base,
        "REDIS_PASSWORD": REDIS_PASSWORD,
        "FLOWER_BASIC_AUTH": AUTH,
        "PINACLE_RECONCILE_INTERVAL_S": "3",
        "PROMETHEUS_IMAGE": prometheus_image,
        "GRAFANA_IMAGE": python_base,
    }


@pytest.fixture(scope="package")
def compose(
    engine: PrivateEngine, environment: dict[str, str], worker_image: str, busybox: str
) -> Iterator[Callable[..., str]]:
    """Bring the stack up, and take it down with its volume."""
    command = [str(compose_program(CACHE)), "-p", PROJECT]

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
        run("--profile", "metrics", "down", "--volumes", "--timeout", "60")
        remove_tables(engine)


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
    """Call a task through Flower and wait for its answer."""
    status, text = ask("POST", f"/api/task/apply/pods.{task}", {"args": list(args)})
    assert status == 200, text
    result: dict[str, Any] = json.loads(text)["result"]
    return result
