"""Pods are found by what they are, in pages, by a worker on a real Redis."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import pytest

from tests.support.commands import Pinacle
from tests.support.worker import WorkerProcess
from worker.interfaces import Proposal
from worker.local.client import Client
from worker.local.redis import RedisServer
from worker.pods.model import Intent, IntentKind
from worker.pods.spec import PodSpec
from worker.store.redis_store import RedisStore

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
MANY: Final = 3000
PAGE_S: Final = 1.0
"""Far more than a page of 1000 takes."""
LABELS: Final[dict[str, dict[str, str]]] = {
    "one": {"tenant": "a", "project": "shop"},
    "two": {"tenant": "a"},
    "three": {"tenant": "b"},
}


def found(client: Client, **given: Any) -> list[str]:
    return [pod["pod_id"] for pod in client.call("list", queue="questions", **given)["pods"]]


def test_labelled_pods_are_found(client: Client) -> None:
    """Also by labels that a running pod got later: its container stays."""
    for pod_id, labels in LABELS.items():
        made = client.call("create", pod_id, {**SPEC, "labels": labels, "description": f"number {pod_id}"})
        assert (made["phase"], made["labels"]) == ("running", labels)
    client.call("stop", "two")
    assert found(client) == ["one", "three", "two"]
    assert found(client, labels={"tenant": "a"}) == ["one", "two"]
    assert found(client, labels={"tenant": "a"}, phase="running") == ["one"]
    assert found(client, labels={"project": None}) == ["one"]
    assert found(client, phase=["stopped", "failed"]) == ["two"]
    assert found(client, host="nowhere") == []

    before = client.call("get", "three")
    after = client.call("update", "three", {"labels": {"tenant": "c"}, "description": None})
    assert (after["changed"], after["description"]) == (["labels", "description"], None)
    assert (after["container_id"], after["restarts"]) == (before["container_id"], before["restarts"])
    assert found(client, labels={"tenant": "b"}) == []
    assert found(client, labels={"tenant": "c"}) == ["three"]

    page = client.call("list", limit=2, fields=["phase", "labels"])
    assert page["next"] == "three"
    assert page["pods"][0] == {"pod_id": "one", "phase": "running", "labels": LABELS["one"]}
    last = client.call("list", after=page["next"], limit=2)
    assert ([pod["pod_id"] for pod in last["pods"]], last["next"]) == (["two"], None)
    in_place = (True, {"tenant": "a"}, None, None, ["phase"], "one", 1)
    assert client.call("list", *in_place).keys() == {"pods", "next", "orphans"}
    assert "limit: 0 is not allowed" in client.error("list", limit=0)
    for pod_id in LABELS:
        assert client.call("delete", pod_id)["phase"] == "deleted"
    assert found(client, limit=5) == []


@pytest.fixture
def crowded(tmp_path: Path, settings: dict[str, str], own_redis: RedisServer) -> Iterator[dict[str, str]]:
    """A worker whose Redis knows thousands of pods of another host."""
    mine = {**settings, "PINACLE_REDIS_URL": own_redis.url}
    worker = WorkerProcess(tmp_path, mine)
    worker.start()
    asyncio.run(_fill(own_redis.url))
    yield mine
    worker.stop()


async def _fill(url: str) -> None:
    store = RedisStore(url, lease_ttl_s=9, takeover_delay_s=0, heartbeat_ttl_s=9, socket_timeout_s=9)
    spec = PodSpec(image="image", env={"TOKEN": "secret" * 9}, labels={"tenant": "a"}, description="mine")
    for number in range(MANY):
        intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=spec)
        pod_id = f"p{number:05}"
        await store.accept(
            Proposal(pod_id=pod_id, task_id=pod_id, expected_generation=0, host="elsewhere", intent=intent)
        )
    await store.close()


def test_thousands_are_listed_soon_and_in_pages(crowded: dict[str, str]) -> None:
    """Each page is as quick as the first; and nothing of the pods' variables is in it."""
    client = Client(crowded["PINACLE_REDIS_URL"])
    client.call("list", limit=1)
    ids: list[str] = []
    times: list[float] = []
    after = None
    while True:
        began = perf_counter()
        page = client.call("list", limit=1000, after=after, fields=["phase", "host", "labels"])
        times.append(perf_counter() - began)
        ids += [pod["pod_id"] for pod in page["pods"]]
        after = page["next"]
        if after is None:
            break
    assert ids == [f"p{number:05}" for number in range(MANY)]
    assert len(times) == MANY // 1000
    assert max(times) < PAGE_S, times
    client.close()
    began = perf_counter()
    shown = Pinacle(crowded)("pods", "ls", "--limit", "1000")
    took_s = perf_counter() - began
    assert shown.out.count("tenant=a") == 1000
    assert shown.out.rstrip().endswith("there are more: --after p00999")
    assert took_s < 5 * PAGE_S, took_s
