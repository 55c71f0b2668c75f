"""What a program without our code reads of a refusal and of a failing pod; what a command prints for it."""

import gc
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from redis import Redis

from tests.support.commands import Pinacle
from worker.local.client import Client
from worker.local.waiting import wait_until

PAGE: Final = Path(__file__).parents[2] / "docs" / "errors.md"
KEYS: Final = {"kind", "field", "message", "retryable", "docs"}

pytestmark = pytest.mark.usefixtures("busybox", "client")

POD: Final = "contract-of-errors"


@pytest.fixture
def app(settings: dict[str, str]) -> Iterator[Celery]:
    """An app that has nothing of ours, as that of a web app."""
    url = settings["PINACLE_REDIS_URL"]
    app = Celery("web", broker=url, backend=url)
    yield app
    # Results unsubscribe when they are collected, and the app leaves open what it hears of them through:
    # either would fail whatever test runs when that is noticed.
    gc.collect()
    backend: Any = app.backend
    backend.result_consumer.stop()
    backend.client.connection_pool.disconnect()
    app.close()


def lines() -> str:
    """Return the example of the page."""
    found = re.search(r"<!-- errors: .*?-->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def printed(app: Celery) -> str:
    said = StringIO()
    with redirect_stdout(said):
        # Of a pod with that name there may have been one before.
        exec(lines().replace("abc", POD), {"app": app})  # noqa: S102 - these are our own docs
    return said.getvalue().strip()


def test_the_lines_of_the_page_tell_a_refusal_and_a_failing_pod(client: Client, app: Celery) -> None:
    assert printed(app).startswith("pod_not_found ")
    ends = {"image": "pinacle-busybox", "command": ["false"], "restart": "never"}
    client.call("create", POD, ends)
    wait_until(lambda: client.call("get", POD)["phase"] == "failed", 60, what="its end")
    answer = client.call("get", POD)
    assert answer["error"].keys() == KEYS
    assert answer["error"]["message"] == answer["last_error"]
    assert printed(app) == "accepted, and it does not work: ended"


def test_redis_has_the_object_beside_the_text(app: Celery, settings: dict[str, str]) -> None:
    """As a program in another language reads it."""
    sent = app.send_task("pods.create", args=["abc", {"image": "a", "restart": "x"}], queue="pods")
    with pytest.raises(Exception, match=r"spec\.restart"):
        sent.get(timeout=30)
    with Redis.from_url(settings["PINACLE_REDIS_URL"]) as redis:
        stored: Any = redis.get(f"celery-task-meta-{sent.id}")
    text, told = json.loads(stored)["result"]["exc_message"]
    assert told["message"] == text
    assert (told["kind"], told["field"], told["retryable"]) == ("invalid_input", "spec.restart", False)


def test_a_command_prints_the_object_for_programs(settings: dict[str, str]) -> None:
    done = Pinacle(settings)("pods", "get", "nobody", "--json", code=1)
    assert done.json()["error"].keys() == KEYS
    assert done.json()["error"]["kind"] == "pod_not_found"
    assert "pinacle pods list" in done.err
