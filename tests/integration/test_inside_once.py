"""Looking into pods through other workers: one that is killed, one that may not look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
SHORT: Final = {"PINACLE_TASK_WAIT_S": "4", "PINACLE_STEP_DEADLINE_S": "4", "PINACLE_LEASE_TTL_S": "6"}
"""So that a message comes back 20 s after it was taken."""
_S: Final = 30


@pytest.fixture
def client(own_redis: RedisServer) -> Iterator[Client]:
    client = Client(own_redis.url)
    yield client
    client.close()


def test_a_worker_that_dies_runs_no_command_twice(
    own_redis: RedisServer, settings: dict[str, str], tmp_path: Path, engine: PrivateEngine, client: Client
) -> None:
    """Its message comes back, and the caller learns that the outcome is not known."""
    worker = WorkerProcess(tmp_path, {**settings, **SHORT, "PINACLE_REDIS_URL": own_redis.url})
    worker.start()
    try:
        with Pod.running(client, engine, "once", SPEC) as pod:
            sent = client.send("exec", "once", ["sh", "-c", "echo ran >>/root/runs; sleep 3"])
            wait_until(lambda: "ran" in pod.sh("cat /root/runs || true"), _S, what="a command that runs")
            worker.kill()
            worker.start()
            assert "outcome_unknown" in client.outcome(sent)
            assert pod.sh("cat /root/runs") == "ran"
    finally:
        worker.stop()


def test_an_operator_can_close_it(
    own_redis: RedisServer, settings: dict[str, str], tmp_path: Path, engine: PrivateEngine, client: Client
) -> None:
    worker = WorkerProcess(tmp_path, {**settings, "PINACLE_REDIS_URL": own_redis.url, "PINACLE_EXEC": "off"})
    worker.start()
    try:
        with Pod.running(client, engine, "closed", SPEC):
            for error in (client.error("logs", "closed"), client.error("exec", "closed", ["ls"])):
                assert "PINACLE_EXEC=off" in error
    finally:
        worker.stop()
