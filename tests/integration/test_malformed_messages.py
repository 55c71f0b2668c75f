"""Whatever is sent, the worker goes on, says so in one line each, and shows nothing of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.messages import CANARY, each_once, sound, spoiled
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until


@pytest.fixture
def worker(
    tmp_path: Path, settings: dict[str, str], own_redis: RedisServer, busybox: str
) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(tmp_path, settings | {"PINACLE_REDIS_URL": own_redis.url})
    worker.start()
    yield worker
    worker.stop()


def test_no_message_ends_the_worker(worker: WorkerProcess, own_redis: RedisServer) -> None:
    client, pid = Client(own_redis.url), worker.pid
    misspelt = sound()
    misspelt["headers"]["task"] = "pods.crate"
    texts = [json.dumps(misspelt), "no JSON", "[" * 100_000, *each_once(), *map(spoiled, range(300))]
    with Redis.from_url(own_redis.url) as redis:
        redis.lpush("pods", *(text.encode(errors="surrogatepass") for text in texts))
        wait_until(lambda: redis.llen("pods") == 0, 120, what="all messages taken")
        assert client.call("list")["pods"] == []
        wait_until(lambda: redis.hlen("unacked") == 0, 60, what="all messages rejected or answered")
        told = json.loads(redis.get(f"celery-task-meta-{misspelt['headers']['id']}") or b"{}")
    client.close()
    assert worker.is_running()
    assert worker.pid == pid
    assert told["status"] == "FAILURE"
    assert told["result"]["exc_type"] == "NotRegistered"
    lines = [line for line in worker.text().splitlines() if "message_refused" in line]
    assert len(texts) * 0.6 < len(lines) <= len(texts)
    assert CANARY not in worker.text()
    assert "Traceback" not in worker.text()
