"""Messages that Celery delivers again: after a kill, a restart of Redis, a connection that breaks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from redis import Redis

from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
ANSWERED_S: Final = 90.0
PODS: Final = tuple(f"again-{number}" for number in range(6))


@pytest.fixture
def worker(
    tmp_path: Path, settings: dict[str, str], own_redis: RedisServer, busybox: str
) -> Iterator[WorkerProcess]:
    """A worker whose messages come back after 20 s: twice the longest wait and three steps."""
    short = {"PINACLE_TASK_WAIT_S": "4", "PINACLE_STEP_DEADLINE_S": "4", "PINACLE_LEASE_TTL_S": "6"}
    worker = WorkerProcess(tmp_path, {**settings, **short, "PINACLE_REDIS_URL": own_redis.url})
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def client(worker: WorkerProcess, own_redis: RedisServer) -> Iterator[Client]:
    client = Client(own_redis.url)
    yield client
    for pod in client.call("list")["pods"]:
        assert client.call("delete", pod["pod_id"])["phase"] in ("deleting", "deleted")
    wait_until(lambda: not client.call("list")["pods"], 30, what="all deletions")
    client.close()


def _each_was_made_once(engine: PrivateEngine, worker: WorkerProcess, client: Client) -> None:
    """Check by the generation, as the log lacks an acceptance whose answer was lost with Redis."""
    names = engine.docker("ps", "-a", "--filter", "label=dev.pinacle.pod", "--format", "{{.Names}}").split()
    assert sorted(names) == [f"pinacle-pod-{pod_id}" for pod_id in PODS]
    assert {pod["generation"] for pod in client.call("list")["pods"]} == {1}
    lines = [json.loads(line) for line in worker.text().splitlines() if '"intent_accepted"' in line]
    accepted = [line["pod_id"] for line in lines]
    assert len(accepted) == len(set(accepted)), "a message was accepted twice"


def test_a_worker_killed_in_the_middle_of_a_create(
    worker: WorkerProcess, client: Client, engine: PrivateEngine
) -> None:
    """The waiting caller gets the answer from the next worker, under the same task id."""
    sent = client.send("create", PODS[0], SPEC)
    wait_until(lambda: "intent_accepted" in worker.text(), 20, what="an accepted intent")
    worker.kill()
    worker.start()
    assert client.receive(sent, ANSWERED_S)["phase"] == "running"
    assert engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod").count("\n") == 1


def test_redis_restarts_while_tasks_run(
    worker: WorkerProcess, client: Client, own_redis: RedisServer, engine: PrivateEngine
) -> None:
    """Acknowledgements in between are lost: the tasks are delivered again and change nothing."""
    sent = [client.send("create", pod_id, SPEC) for pod_id in PODS]
    wait_until(lambda: "intent_accepted" in worker.text(), 20, what="an accepted intent")
    own_redis.kill()
    own_redis.start()
    wait_until(lambda: _all_run(client), ANSWERED_S, what="all pods")
    for one in sent:
        client.forget(one)
    _each_was_made_once(engine, worker, client)


def test_all_connections_to_redis_are_reset_while_tasks_run(
    worker: WorkerProcess, client: Client, own_redis: RedisServer, engine: PrivateEngine
) -> None:
    """The broker's side ends the connections, as a load balancer or a time-out does."""
    sent = [client.send("create", pod_id, SPEC) for pod_id in PODS]
    wait_until(lambda: "intent_accepted" in worker.text(), 20, what="an accepted intent")
    with Redis.from_url(own_redis.url) as admin:
        for kind in ("normal", "pubsub"):
            admin.client_kill_filter(_type=kind, skipme=True)
    wait_until(lambda: _all_run(client), ANSWERED_S, what="all pods")
    for one in sent:
        client.forget(one)
    _each_was_made_once(engine, worker, client)
    assert worker.is_running()


def _all_run(client: Client) -> bool:
    pods = client.call("list")["pods"]
    return len(pods) == len(PODS) and {pod["phase"] for pod in pods} == {"running"}


def test_a_message_is_answered_however_often_it_is_sent_under_its_task_id(
    client: Client, own_redis: RedisServer
) -> None:
    """More often than a message that was never accepted is tried; the pod is made once."""
    with Redis.from_url(own_redis.url) as admin:
        for _ in range(8):
            # The last answer is kept under the task's id, and would be taken for the next one.
            admin.delete("celery-task-meta-often")
            answer = client.receive(client.send("create", PODS[0], SPEC, task_id="often"))
            assert (answer["phase"], answer["generation"]) == ("running", 1)
