"""Redis answers but refuses every write for a while, as in a failover: worker and beat survive that."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.pods import Pod
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
REFUSED_S: Final = 8.0
AGAIN_S: Final = 120.0


@dataclass(frozen=True)
class Refusal:
    """What makes a Redis refuse writes, and what ends that."""

    begin: tuple[Any, ...]
    end: tuple[Any, ...]


REFUSALS: Final = {
    # A replica without its primary keeps its data, so that it can become the primary again.
    "READONLY": Refusal(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "NOREPLICAS": Refusal(
        ("CONFIG", "SET", "min-replicas-to-write", 1), ("CONFIG", "SET", "min-replicas-to-write", 0)
    ),
    "OOM": Refusal(("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)),
}


@pytest.fixture
def admin(own_redis: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(own_redis.url, decode_responses=True) as admin:
        yield admin


def obey(admin: Any, command: tuple[Any, ...]) -> None:
    admin.execute_command(*command)


@pytest.fixture
def worker(
    tmp_path: Path, settings: dict[str, str], own_redis: RedisServer, busybox: str
) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(tmp_path, {**settings, "PINACLE_REDIS_URL": own_redis.url})
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def client(worker: WorkerProcess, own_redis: RedisServer) -> Iterator[Client]:
    client = Client(own_redis.url)
    yield client
    for pod in client.call("list", timeout_s=AGAIN_S)["pods"]:
        client.call("delete", pod["pod_id"])
    client.close()


def lives_through(process: WorkerProcess | subprocess.Popen[bytes], seconds: float) -> None:
    """Wait, and fail at once if the process ends meanwhile."""
    is_running = process.is_running if isinstance(process, WorkerProcess) else lambda: process.poll() is None
    with pytest.raises(TimeoutError):
        wait_until(lambda: not is_running(), seconds, what="an end of the process")


@pytest.mark.parametrize("kind", REFUSALS)
def test_writes_are_refused_while_the_worker_is_idle(
    kind: str, worker: WorkerProcess, client: Client, admin: Redis
) -> None:
    """Its process goes on, says what is wrong, and takes work once writes are accepted."""
    assert client.call("create", "idle", SPEC)["phase"] == "running"
    obey(admin, REFUSALS[kind].begin)
    lives_through(worker, REFUSED_S)
    obey(admin, REFUSALS[kind].end)
    assert client.call("stop", "idle", timeout_s=AGAIN_S)["phase"] == "stopped"
    assert worker.is_running()
    assert worker.text().count(" ready.") == 1, "it began again"
    assert worker.text().count("Traceback") < REFUSED_S * 2, "it should wait, and not try again and again"


def test_writes_are_refused_while_tasks_run(
    worker: WorkerProcess, client: Client, admin: Redis, engine: PrivateEngine
) -> None:
    """Every caller is answered, and each pod is made once."""
    sent = [client.send("create", f"busy-{number}", SPEC) for number in range(8)]
    wait_until(lambda: "intent_accepted" in worker.text(), 20, what="an accepted intent")
    obey(admin, REFUSALS["READONLY"].begin)
    lives_through(worker, REFUSED_S)
    obey(admin, REFUSALS["READONLY"].end)
    answers = [client.receive(one, AGAIN_S) for one in sent]
    assert {answer["intent"] for answer in answers} == {"running"}
    for number in range(8):
        Pod(client, engine, f"busy-{number}").wait_for_another_container(AGAIN_S)
    assert engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod").count("\n") == 8


def test_a_message_that_was_taken_and_cannot_be_noted_is_not_lost(
    worker: WorkerProcess, client: Client, admin: Redis
) -> None:
    """Memory is full from the moment the worker has the message; a full Redis still gives messages out."""
    sent = client.send("create", "taken", SPEC, queue="parked")
    wait_until(lambda: admin.llen("parked") == 1, 10, what="the message")
    message = json.loads(str(admin.lpop("parked")))
    message["properties"]["delivery_info"] = {"exchange": "", "routing_key": "pods"}
    with admin.pipeline(transaction=True) as pipe:
        pipe.lpush("pods", json.dumps(message))
        obey(pipe, REFUSALS["OOM"].begin)
        pipe.execute()
    wait_until(lambda: "message_kept" in worker.text(), 20, what="a message that the worker keeps")
    obey(admin, REFUSALS["OOM"].end)
    assert client.receive(sent, AGAIN_S)["phase"] == "running"


def test_writes_are_refused_to_beat(
    tmp_path: Path, settings: dict[str, str], own_redis: RedisServer, admin: Redis
) -> None:
    """It goes on, and sends what is due once writes are accepted."""
    environment = {**settings, "PINACLE_REDIS_URL": own_redis.url, "PINACLE_RECONCILE_INTERVAL_S": "1"}
    path = tmp_path / "beat.log"
    with path.open("wb") as log:
        beat = subprocess.Popen(
            [sys.executable, "-m", "worker.beat", "-s", str(tmp_path / "schedule")],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: admin.llen("pods") > 0, 60, what="a message of beat's")
        obey(admin, REFUSALS["READONLY"].begin)
        lives_through(beat, REFUSED_S)
        before = admin.llen("pods")
        obey(admin, REFUSALS["READONLY"].end)
        wait_until(lambda: admin.llen("pods") > before, 60, what="another message of beat's")
        assert beat.poll() is None
    finally:
        beat.terminate()
        beat.wait(30)
