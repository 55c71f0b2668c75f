"""A wall clock that jumps back an hour, under the worker and under Redis."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.pods import Pod
from tests.support.wall_clock import WallClock
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
STUBBORN: Final = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
HOUR: Final = 3600
SOON_S: Final = 60.0


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    return WallClock(tmp_path)


@pytest.fixture
def worker(
    tmp_path: Path, settings: dict[str, str], clock: WallClock, busybox: str
) -> Iterator[tuple[WorkerProcess, Client]]:
    redis = RedisServer(tmp_path / "redis", environment=clock.environment())
    redis.start()
    short = {
        "PINACLE_REDIS_URL": redis.url,
        "PINACLE_HEARTBEAT_TTL_S": "4",
        "PINACLE_STEP_DEADLINE_S": "5",
        "PINACLE_LEASE_TTL_S": "6",
        "PINACLE_LOG_LEVEL": "debug",
    }
    worker, client = WorkerProcess(tmp_path, {**settings, **short, **clock.environment()}), Client(redis.url)
    worker.start()
    yield worker, client
    for pod in client.call("list")["pods"]:
        client.call("delete", pod["pod_id"])
    client.close()
    worker.stop()
    redis.stop()


def events(worker: WorkerProcess, name: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in worker.text().splitlines() if line.startswith("{")]
    return [event for event in lines if event.get("event") == name]


def wait_for(pod: Pod, worker: WorkerProcess, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
    """Wait until it is true for the pod; if time is up, say how the pod is and what the worker did last."""
    try:
        wait_until(lambda: condition(pod.call("get")), 2 * SOON_S, what=what)
    except TimeoutError as error:
        error.add_note(f"pods.get: {pod.call('get')}")
        error.add_note(worker.text()[-8_000:])
        raise


def stops_begun(worker: WorkerProcess) -> list[dict[str, Any]]:
    return [event for event in events(worker, "step_begun") if event["step"] == "stop_container"]


def test_a_clock_that_jumps_back_an_hour(
    worker: tuple[WorkerProcess, Client], clock: WallClock, engine: PrivateEngine
) -> None:
    """It is logged once, and does not delay a back-off, a lost container, or the lease of a dead worker."""
    process, client = worker
    assert client.call("create", "sound", SPEC)["phase"] == "running"
    client.call("create", "crashing", {**SPEC, "command": ["sh", "-c", "sleep 1; exit 3"]})
    pod, crashing = Pod(client, engine, "sound"), Pod(client, engine, "crashing")
    wait_for(crashing, process, lambda seen: seen["phase"] == "backoff", "a back-off")

    clock.set_back(HOUR)
    wait_until(lambda: bool(events(process, "clock_jumped")), SOON_S, what="an event that tells of the jump")
    before = crashing.call("get")["restarts"]
    wait_for(crashing, process, lambda seen: seen["restarts"] > before, "the next try")
    pod.lose_container()
    pod.wait_for_another_container(SOON_S)

    # A stop is under way, and its lease is held, when the worker is killed and the clock is set back again.
    client.call("update", "sound", {**SPEC, "stop_timeout_s": 4, "command": STUBBORN})
    begun = len(stops_begun(process))
    client.send("stop", "sound")
    wait_until(lambda: len(stops_begun(process)) > begun, SOON_S, what="the stop's beginning")
    process.kill()
    clock.set_back(2 * HOUR)
    with Redis.from_url(process.settings["PINACLE_REDIS_URL"]) as redis:
        assert redis.pttl("pinacle:lease:sound") > HOUR * 1000, "the dead worker's lease should last"
    process.start()
    wait_for(pod, process, lambda seen: seen["phase"] == "stopped", "the stop, by the next worker")

    (jump,) = events(process, "clock_jumped")
    assert -HOUR - 5 < jump["seconds"] < -HOUR + 5
    assert "Traceback" not in process.text(), process.text()
