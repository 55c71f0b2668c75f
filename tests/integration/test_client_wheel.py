"""The wheel `pinacle-client`, alone with what it declares: calls, errors, waits, changes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from redis.exceptions import RedisError

from tests.support.schemas import mistakes
from tests.support.worker import WorkerProcess
from worker.client import Change, Client, Progress, errors
from worker.local.published.wheel import build
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

PROGRAM: Final = """
import importlib.util, sys
from pinacle_client import Client
from pinacle_client.errors import InvalidInputError, PodExistsError, PodNotFoundError, UnknownTaskError

assert not any(map(importlib.util.find_spec, ("worker", "config", "tasks"))), "ours is importable"
url, image = sys.argv[1:]
with Client(url) as client:
    changes = client.follow(within_s=30)
    made = client.pods.create("wheel", {"image": image}, task_id="wheel-1")
    assert made["phase"] == "running", made
    again = client.pods.create("wheel", {"image": image}, task_id="wheel-1")
    assert again["container_id"] == made["container_id"]
    assert client.pods.exec("wheel", ["echo", "hello"])["stdout"] == "hello\\n"
    client.pods.stop("wheel")
    assert client.wait("wheel", "stopped", within_s=20)["pod_id"] == "wheel"
    client.pods.delete("wheel")
    for change in changes:
        print(change.phase)
        if change.phase == "deleted":
            break
    for wrong, call in (
        (PodNotFoundError, lambda: client.pods.get("nobody")),
        (InvalidInputError, lambda: client.pods.create("no/pod", {"image": image})),
        (UnknownTaskError, lambda: client.call("pods.crate", "wheel")),
    ):
        try:
            call()
        except wrong as error:
            print(error.kind)
"""


@pytest.fixture(scope="module")
def alone(scratch: Path) -> str:
    """A Python that has the wheel and what it declares, and nothing else of ours."""
    uv, venv = str(Path(sys.executable).parent / "uv"), scratch / "client-venv"
    wheel = build(scratch)
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(venv)], check=True)
    python = str(venv / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--python", python, str(wheel)], check=True)
    return python


@pytest.fixture
def calls(pod_worker: WorkerProcess, settings: dict[str, str]) -> Iterator[Client]:
    with Client(settings["PINACLE_REDIS_URL"]) as calls:
        yield calls


def test_the_wheel_alone_does_all_that_a_web_app_needs(
    alone: str, client: Any, busybox: str, settings: dict[str, str]
) -> None:
    done = subprocess.run(
        [alone, "-c", PROGRAM, settings["PINACLE_REDIS_URL"], busybox],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.split()
    assert [word for word in told if word in {"running", "stopped", "deleted"}] == [
        "running",
        "stopped",
        "deleted",
    ]
    assert told[-3:] == ["pod_not_found", "invalid_input", "unknown_task"]
    assert done.stderr == ""


def test_a_pod_that_is_failed_is_no_success(calls: Client, client: Any, busybox: str) -> None:
    """Unless it is asked for, or asked about."""
    with pytest.raises(errors.PinacleError) as refused:
        calls.pods.create("unfit", {"image": busybox, "command": ["/not-there"], "init": False})
    assert refused.value.answer is not None
    assert refused.value.answer["phase"] == calls.pods.get("unfit")["phase"] == "failed"
    assert calls.pods.restart("unfit", accept_failed=True)["phase"] == "failed"


def test_each_answer_is_as_its_schema_says(calls: Client, client: Any, busybox: str) -> None:
    spec = {"image": busybox, "ports": [{"container": 80}], "labels": {"tenant": "a"}}
    assert mistakes(calls.pods.create("shape", spec), "Pod") == []
    assert mistakes(calls.pods.get("shape"), "Pod") == []
    assert mistakes(calls.pods.list(limit=5), "Pods") == []
    assert mistakes(calls.pods.logs("shape"), "Logs") == []
    assert mistakes(calls.pods.exec("shape", ["true"]), "Execution") == []
    assert mistakes(calls.pods.stats("shape"), "Stats") == []
    assert calls.pods.stats()["pods"][0]["pod_id"] == "shape"
    assert mistakes(calls.pods.reconcile(), "Pass") == []
    host = calls.pods.get("shape")["host"]
    assert mistakes(calls.hosts.accept_storage(host), "AcceptedStorage") == []
    assert mistakes(calls.pods.delete("shape"), "Pod") == []
    told: Any = calls._redis.xrevrange("pinacle:events", count=100)
    assert [m for _, change in told for m in mistakes(change, "Change")] == []


def test_no_answer_in_time_names_the_id_to_send_again(
    calls: Client, pod_worker: WorkerProcess, settings: dict[str, str]
) -> None:
    """The worker is stopped: it has a heartbeat and does not answer."""
    with pod_worker.held(), pytest.raises(errors.NoAnswerError) as unanswered:
        calls.pods.list(task_id="asked-once", wait_s=0.5)
    assert unanswered.value.task_id == "asked-once"
    assert "pods" in calls.receive("asked-once")


def test_redis_that_stops_while_an_answer_is_waited_for_is_told_with_the_id(own_redis: RedisServer) -> None:
    """And once it is back, the same client gets the answer by that id."""
    key = "celery-task-meta-asked"
    with Client(own_redis.url) as calls, ThreadPoolExecutor(1) as beside:
        redis: Any = calls._redis

        def is_waited_for() -> bool:
            return bool(redis.pubsub_numsub(key)[0][1])

        waiting = beside.submit(calls.receive, "asked", wait_s=30)
        wait_until(is_waited_for, 20, what="the client")
        own_redis.kill()
        error = waiting.exception(20)
        assert isinstance(error, errors.StoreUnavailableError)
        assert error.task_id == "asked"
        assert "send it again with the same task_id" in str(error)
        own_redis.start()
        waiting = beside.submit(calls.receive, "asked", wait_s=30)
        wait_until(is_waited_for, 20, what="the client")
        answer = {"task_id": "asked", "status": "SUCCESS", "result": {"phase": "running"}, "children": []}
        redis.set(key, json.dumps(answer))
        redis.publish(key, json.dumps(answer))
        assert waiting.result(20) == {"phase": "running"}


def test_without_a_worker_nothing_is_sent(own_redis: RedisServer) -> None:
    with Client(own_redis.url) as nobody_there:
        with pytest.raises(errors.NoWorkerError):
            nobody_there.pods.create("early", {"image": "any"})
        assert nobody_there._redis.keys("pods*") == []


def test_following_goes_on_when_redis_was_away(own_redis: RedisServer) -> None:
    """And misses nothing that is in the stream."""
    with Client(own_redis.url) as calls:
        add = calls._redis.xadd
        changes = calls.follow(within_s=60)
        add("pinacle:events", {"pod_id": "a", "phase": "pending", "generation": "1"})
        assert next(changes).phase == "pending"
        own_redis.kill()
        own_redis.start()
        wait_until(lambda: _answers(calls), 20, what="Redis")
        add("pinacle:events", {"pod_id": "a", "phase": "running", "generation": "1"})
        change = next(changes)
        assert (change.pod_id, change.phase, change.generation, change.missed) == ("a", "running", 1, False)


def test_following_tells_of_pulls_only_if_that_is_asked_for(own_redis: RedisServer) -> None:
    """In the order in which all happened, of pulls only from now on, and none twice after a restart."""
    with Client(own_redis.url) as calls:

        def add(stream: str, **told: Any) -> None:
            entry: dict[Any, Any] = {"pod_id": "a", "generation": "1", **told}
            added: Any = calls._redis.xadd(stream, entry)
            # Of two entries of one millisecond nobody can say which was first.
            wait_until(lambda: _milliseconds(calls) > int(added.partition("-")[0]), 5, what="a later entry")

        add("pinacle:progress", done_bytes=1)
        without, every = calls.follow(within_s=60), calls.follow(within_s=60, progress=True)
        add("pinacle:progress", done_bytes=2, total_bytes=9, image="i")
        add("pinacle:events", phase="pending")
        add("pinacle:progress", done_bytes="odd")
        add("pinacle:events", phase="running")
        first = next(every)
        assert isinstance(first, Progress)
        assert (first.pod_id, first.image, first.done_bytes, first.total_bytes) == ("a", "i", 2, 9)
        assert [type(next(every)) for _ in range(3)] == [Change, Progress, Change]
        assert [next(without).phase, next(without).phase] == ["pending", "running"]
        own_redis.kill()
        own_redis.start()
        wait_until(lambda: _answers(calls), 20, what="Redis")
        add("pinacle:progress", done_bytes=3)
        last = next(every)
        assert isinstance(last, Progress)
        assert last.done_bytes == 3


def _milliseconds(calls: Client) -> int:
    """Return Redis' own time."""
    seconds, microseconds = calls._redis.time()
    return seconds * 1000 + microseconds // 1000


def test_following_says_that_changes_may_be_missed(own_redis: RedisServer) -> None:
    with Client(own_redis.url) as calls:
        calls._redis.xadd("pinacle:events", {"pod_id": "a", "phase": "running"})
        calls._redis.xadd("pinacle:events", {"pod_id": "a", "phase": "stopped"})
        changes = calls.follow(since="1-1", within_s=20)
        assert [next(changes).missed, next(changes).missed] == [True, False]


def test_following_ends_in_time(own_redis: RedisServer) -> None:
    with Client(own_redis.url) as calls:
        assert list(calls.follow(within_s=0.2)) == []


def _answers(calls: Client) -> bool:
    try:
        return bool(calls._redis.ping())
    except RedisError:
        return False
