"""The stream of changes of phase, from which a web app learns how its pods are without polling."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until
from worker.pods.model import Phase

STREAM: Final = "pinacle:events"
DOCS: Final = Path(__file__).parents[2] / "docs"
SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
ENDED: Final = "it ended by itself with exit code"

Change = tuple[str, dict[str, str]]


@pytest.fixture
def redis(settings: dict[str, str]) -> Iterator[Any]:
    """A follower's own connection to Redis, with nothing of ours in between."""
    with Redis.from_url(settings["PINACLE_REDIS_URL"], decode_responses=True, protocol=2) as redis:
        yield redis


def changes_since(redis: Any, last_id: str, *, count: int | None = None) -> list[Change]:
    """Return what a follower gets if it asks for what came after an id."""
    read: list[tuple[str, list[Change]]] = redis.xread({STREAM: last_id}, count=count)
    return [change for _, changes in read for change in changes]


def newest(redis: Any) -> str:
    return next((last_id for last_id, _ in redis.xrevrange(STREAM, count=1)), "0-0")


def documented(page: str, heading: str) -> set[str]:
    """Return the names in the first column of a page's table with this heading."""
    text = (DOCS / page).read_text()
    table = re.search(rf"^\| {heading} \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert table is not None, f"{page} has no table of each {heading}"
    return {name for row in table[1].splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def one_by_one(redis: Any, last_id: str) -> list[Change]:
    """Read like a follower that ends after each change and goes on from the last id that it dealt with."""
    changes: list[Change] = []
    while more := changes_since(redis, last_id, count=1):
        changes += more
        last_id = more[-1][0]
    return changes


def told(changes: list[Change]) -> list[tuple[str, str, str, str]]:
    return [(c["previous"], c["phase"], c["generation"], c["reason"]) for _, c in changes]


def live(client: Client, engine: PrivateEngine, busybox: str) -> dict[str, Any]:
    """Take a pod through everything that can happen to one; return the answer to its deletion."""
    with_crash = {**SPEC, "image": busybox}
    assert client.call("create", "told", with_crash)["phase"] == "running"
    pod = Pod(client, engine, "told")
    pod.call("stop")
    pod.call("start")
    engine.docker("kill", pod.container)
    wait_until(lambda: pod.call("get")["restarts"] == 1, 20, what="a start after the crash")
    wait_until(lambda: pod.call("get")["phase"] == "running", 20, what="the pod running")
    pod.call("update", {**with_crash, "hostname": "another"})
    return pod.call("delete")


def test_every_change_of_phase_is_reported_once_in_order_with_the_documented_fields(
    client: Client, engine: PrivateEngine, busybox: str, redis: Any
) -> None:
    """Creation, stop, start, crash, another container, deletion; reading one by one misses none."""
    before = newest(redis)
    answer = live(client, engine, busybox)
    changes = changes_since(redis, before)
    assert told(changes) == [
        ("", "pending", "1", ""),
        ("pending", "running", "1", ""),
        ("running", "stopped", "2", ""),
        ("stopped", "running", "3", ""),
        ("running", "pending", "3", f"{ENDED} 137 (SIGKILL)"),
        ("pending", "running", "3", ""),
        ("running", "pending", "4", ""),
        ("pending", "running", "4", ""),
        ("running", "deleted", "5", ""),
    ]
    for _, change in changes:
        assert set(change) == documented("following.md", "field")
        assert (change["pod_id"], change["host"]) == ("told", answer["host"])
    assert one_by_one(redis, before) == changes


def test_the_readme_names_every_phase() -> None:
    assert documented("tasks.md", "phase") == set(Phase)


def test_a_pod_that_keeps_ending_is_reported_as_that(client: Client, busybox: str, redis: Any) -> None:
    """Each end has its exit code, and there is a wait before the next try."""
    before = newest(redis)
    client.call("create", "ends", {**SPEC, "image": busybox, "command": ["sh", "-c", "exit 3"]})
    wait_until(lambda: client.call("get", "ends")["phase"] == "backoff", 20, what="backoff")
    assert client.call("delete", "ends")["phase"] == "deleted"
    phases = [(phase, reason) for _, phase, _, reason in told(changes_since(redis, before))]
    first, second = f"{ENDED} 3", f"{ENDED} 3, 2 times in a row"
    assert ("pending", first) in phases
    assert phases.index(("pending", second)) + 1 == phases.index(("backoff", second))
    assert phases[-1] == ("deleted", "")


def test_a_pod_whose_container_is_lost_is_reported_as_away_and_back(
    client: Client, engine: PrivateEngine, busybox: str, redis: Any
) -> None:
    """Once each, whether or not the worker saw the Engine while it was still removing it."""
    with Pod.running(client, engine, "lost", {**SPEC, "image": busybox}) as pod:
        before = newest(redis)
        pod.lose_container()
        wait_until(lambda: pod.call("get")["restarts"] == 1, 20, what="another container")
        wait_until(lambda: pod.call("get")["phase"] == "running", 20, what="the pod running")
        phases = [(previous, phase) for previous, phase, *_ in told(changes_since(redis, before))]
        assert phases == [("running", "pending"), ("pending", "running")]
