"""Whatever is sent, the worker goes on, logs one line for each, and shows nothing of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.messages import CANARY, each_once, sound, spoiled
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SECRET: Final = "secret, in an argument"  # noqa: S105 - of nothing
SPEC: Final = {"image": "no image at all", "env": {"TOKEN": SECRET}}
MISPLACED: Final[tuple[Any, ...]] = (
    *(SECRET, SPEC, json.dumps(SPEC), [SECRET], [SPEC], {SECRET: SECRET}, {"image": SPEC}),
    {"image": "no image at all", "command": SECRET, "ports": [{"container": SECRET, "address": SECRET}]},
    {"image": SECRET, "tier": SECRET, "runtime": SECRET, "user": [SECRET], "hostname": SECRET, SECRET: 1},
)
"""What a caller may put by mistake where something else belongs."""
TASKS: Final = ("create", "start", "stop", "restart", "update", "delete", "get", "list", "reconcile", "stats")
NAMES: Final = ("pod_id", "spec", "adopt", "force", "recreate", "discard", "orphans", "host", SECRET)


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


def test_what_is_misplaced_in_arguments_is_shown_nowhere(
    worker: WorkerProcess, own_redis: RedisServer
) -> None:
    """Each mistake at each place of each task: neither in log, events and answers, nor kept in Redis."""
    client, shown = Client(own_redis.url), list[str]()
    with Redis.from_url(own_redis.url) as redis, client.watching_events(shown):
        sent = [
            client.send(task, *arguments, **named)
            for task in TASKS
            for mistake in MISPLACED
            for arguments, named in (
                ((mistake,), {}),
                (("no-such-pod", mistake), {}),
                ((mistake, "no-such-pod"), {}),
                (("no-such-pod", SPEC["image"], mistake), {}),
                *((("no-such-pod",), {name: mistake}) for name in NAMES if name != "pod_id"),
                ((), {"pod_id": mistake}),
            )
        ]
        wait_until(lambda: redis.llen("pods") == 0, 120, what="all messages taken")
        assert client.call("list")["pods"] == []
        wait_until(lambda: redis.hlen("unacked") == 0, 60, what="all messages answered")
        kept = {str(key): redis.dump(key) for key in redis.scan_iter()}
        answers = [str(redis.get(f"celery-task-meta-{one.id}")) for one in sent]
        for one in sent:
            client.forget(one)
    client.close()
    assert sum("FAILURE" in text for text in answers) > len(sent) / 2
    assert not [text[:300] for text in [*answers, *shown] if SECRET in text]
    assert not [key for key, value in kept.items() if SECRET in key or SECRET.encode() in (value or b"")]
    assert not [line[:300] for line in worker.text().splitlines() if SECRET in line]
    assert "Traceback" not in worker.text()
