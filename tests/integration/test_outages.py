"""Redis and the Engine go away and come back: nothing is lost, and nothing takes effect twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 3}
AWAY_S: Final = 10.0


@dataclass
class Stack:
    """A Redis and a worker for one test."""

    engine: PrivateEngine
    redis: RedisServer
    worker: WorkerProcess
    client: Client

    def stay_away(self, seconds: float = AWAY_S) -> None:
        """Leave the worker without them for a while, and check that it survives."""
        try:
            wait_until(lambda: not self.worker.is_running(), seconds, what="an end of the worker")
        except TimeoutError:
            return
        raise AssertionError(f"the worker ended: {self.worker.text()[-3000:]}")


@pytest.fixture
def stack(engine: PrivateEngine, busybox: str, tmp_path: Path, settings: dict[str, str]) -> Iterator[Stack]:
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    socket = tmp_path / "engine.sock"
    socket.symlink_to(engine.socket)
    mine = {
        **settings,
        "PINACLE_REDIS_URL": redis.url,
        "DOCKER_HOST": f"unix://{socket}",
        "PINACLE_HOST_ID": "out",
    }
    worker = WorkerProcess(tmp_path, mine, "outage")
    worker.start()
    stack = Stack(engine, redis, worker, Client(redis.url))
    yield stack
    for pod in stack.client.call("list")["pods"]:
        stack.client.call("delete", pod["pod_id"])
    stack.client.close()
    worker.stop()
    redis.stop()


def test_redis_goes_away_while_the_worker_is_idle(stack: Stack) -> None:
    """The worker lives on, and takes work once it is back."""
    assert stack.client.call("create", "idle", SPEC)["phase"] == "running"
    stack.redis.kill()
    stack.stay_away()
    stack.redis.start()
    assert stack.client.call("stop", "idle", timeout_s=120)["phase"] == "stopped"
    assert stack.client.call("get", "idle")["intent"] == "stopped"


def test_redis_goes_away_while_tasks_run(stack: Stack) -> None:
    """With eight creations under way, each pod is made once, and every caller gets an answer."""
    sent = [stack.client.send("create", f"busy-{number}", SPEC) for number in range(8)]
    wait_until(lambda: "intent_accepted" in stack.worker.text(), 20, what="an accepted intent")
    stack.redis.kill()
    stack.stay_away()
    stack.redis.start()
    for number, one in enumerate(sent):
        pod = Pod(stack.client, stack.engine, f"busy-{number}")
        pod.wait_for_another_container(150)
        stack.client.forget(one)
    wait_until(
        lambda: {pod["phase"] for pod in stack.client.call("list")["pods"]} == {"running"},
        60,
        what="all running",
    )
    assert len(stack.client.call("list")["pods"]) == 8
    assert stack.engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod").count("\n") == 8


def test_redis_hangs(stack: Stack) -> None:
    """Connections stay open and nothing is answered, which is the same as an outage."""
    stack.redis.pause()
    stack.stay_away()
    stack.redis.go_on()
    assert stack.client.call("create", "hung", SPEC, timeout_s=120)["phase"] == "running"


def test_the_engines_socket_goes_away(stack: Stack) -> None:
    """Tasks try again and say so, nothing is created or removed, and passes go on by themselves."""
    assert stack.client.call("create", "cut", SPEC)["phase"] == "running"
    pod = Pod(stack.client, stack.engine, "cut")
    before = (pod.container_id(), stack.engine.docker("volume", "ls", "-q"))
    link = Path(stack.worker.settings["DOCKER_HOST"].removeprefix("unix://"))
    link.unlink()
    sent = stack.client.send("restart", "cut", force=True)
    text = stack.client.error("create", "other", SPEC)
    assert "EngineUnavailableError" in text
    assert "Is it running" in text
    answer = stack.client.receive(sent)
    assert answer["phase"] == "pending"
    assert "cannot be reached" in answer["last_error"]
    assert (pod.container_id(), stack.engine.docker("volume", "ls", "-q")) == before
    link.symlink_to(stack.engine.socket)
    wait_until(lambda: pod.call("get")["phase"] == "running", 60, what="the restart, with nobody's help")
    pod.lose_container()
    pod.wait_for_another_container(60)
    assert stack.client.error("get", "other").startswith("PodNotFoundError")


def test_a_worker_that_is_asked_to_end_hands_back_what_is_under_way(stack: Stack) -> None:
    """It ends in time with exit code 0. The next worker finishes the work at once, as no lease is left."""
    sent = [stack.client.send("create", f"over-{number}", SPEC) for number in range(6)]
    wait_until(lambda: "intent_accepted" in stack.worker.text(), 20, what="an accepted intent")
    stack.worker.signal(SIGTERM)
    assert stack.worker.stop() == 0
    stack.worker.start()
    for number, one in enumerate(sent):
        Pod(stack.client, stack.engine, f"over-{number}").wait_for_another_container(100)
        stack.client.forget(one)


def test_two_workers_on_one_host_never_have_two_hands_on_a_pod(stack: Stack, tmp_path: Path) -> None:
    """Both take any task; each pod is made once."""
    second = WorkerProcess(tmp_path, stack.worker.settings, "second")
    second.start()
    try:
        sent = [stack.client.send("create", f"two-{number % 4}", SPEC) for number in range(12)]
        assert [stack.client.outcome(one) for one in sent] == ["running"] * 12
        assert stack.engine.docker("ps", "-aq", "--filter", "label=dev.pinacle.pod").count("\n") == 4
    finally:
        second.stop()


def test_a_dead_hosts_pod_is_answered_for_and_a_live_ones_is_passed_on(stack: Stack, tmp_path: Path) -> None:
    """The caller's result is the answer of the host that has the pod."""
    assert stack.client.call("create", "there", SPEC)["host"] == "out"
    elsewhere = WorkerProcess(
        tmp_path, {**stack.worker.settings, "PINACLE_HOST_ID": "elsewhere"}, "elsewhere"
    )
    elsewhere.start()
    try:
        answers = [stack.client.call("restart", "there") for _ in range(12)]
        assert {(answer["host"], answer["phase"]) for answer in answers} == {("out", "running")}
        assert "Task pods.restart" in elsewhere.text(), "the other worker should have taken some of them"
        stack.worker.stop()
        wait_until(
            lambda: "no heartbeat" in (stack.client.call("stop", "there")["last_error"] or ""),
            60,
            what="the answer",
        )
        stack.worker.start()
        wait_until(lambda: stack.client.call("get", "there")["phase"] == "stopped", 60, what="the stop")
    finally:
        elsewhere.stop()
