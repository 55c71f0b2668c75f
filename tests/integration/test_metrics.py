"""The metrics of a real worker: they change with what happens to pods, and name no pod."""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from redis import Redis

from config.queues import host_queues, shared_queues
from tests.support.pods import Pod
from tests.support.scrape import Scrape, free_port
from tests.support.stack import own_stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until
from worker.pods.model import Phase

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
CANARY: Final = "canary-91b7"
WORD: Final = re.compile(r"^[a-z]+(_[a-z]+)*$")
"""What a label may look like that is a word from the code."""


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], port: int) -> dict[str, str]:
    return {**settings, "PINACLE_METRICS_PORT": str(port), "PINACLE_RECONCILE_INTERVAL_S": "1"}


@pytest.fixture
def pod(client: Client, engine: PrivateEngine) -> Iterator[Pod]:
    spec = {**SPEC, "env": {"TOKEN": CANARY}}
    with Pod.running(client, engine, f"pod-{CANARY}", spec) as pod:
        yield pod


def moved(before: Scrape, after: Scrape, name: str, **labels: str) -> float:
    return after(name, **labels) - before(name, **labels)


def scrape_once(port: int, what: str, condition: Any, within_s: float = 30) -> Scrape:
    """Scrape until `condition` is true of what was scraped."""
    last: list[Scrape] = []

    def holds() -> bool:
        last[:] = [Scrape(port)]
        return bool(condition(last[0]))

    wait_until(holds, within_s, what=what)
    return last[0]


def pods_in(phase: Phase, number: int) -> Any:
    return lambda scrape: scrape("pinacle_pods", phase=phase) == number


def test_before_anything_happened_every_series_that_can_be_known_is_there(
    pod_worker: WorkerProcess, engine: PrivateEngine, port: int
) -> None:
    """At 0, so that the first increase counts."""
    scrape = scrape_once(port, "the first pass", lambda s: s("pinacle_last_pass_timestamp_seconds") > 0)
    for phase in Phase:
        # There are tombstones of pods that other tests deleted.
        assert phase is Phase.DELETED or scrape("pinacle_pods", phase=phase) == 0
    for name in (
        "pinacle_reconcile_total",
        "pinacle_step_total",
        "pinacle_backoff_total",
        "pinacle_recovery_duration_seconds_count",
        "pinacle_event_stream_reconnects_total",
        "pinacle_engine_failures_total",
    ):
        assert scrape(name) == 0
    assert scrape("pinacle_storage_accepted") == scrape("pinacle_event_stream_up") == 1
    assert scrape("pinacle_queue_length", queue="pods") == 0
    assert abs(scrape("pinacle_disk_free_bytes") - shutil.disk_usage(engine.data_root).free) < 2 * 10**9
    assert scrape("pinacle_disk_floor_bytes") == 100 * 10**6
    assert 0 <= scrape("pinacle_heartbeat_age_seconds", part="event_loop") < 30
    assert 0 <= scrape("pinacle_heartbeat_age_seconds", part="consumer") < 30
    assert scrape.has("pinacle_unread_messages")
    assert scrape("pinacle_unread_messages") == 0
    assert scrape("process_resident_memory_bytes") > 0


def test_a_creation_counts_its_steps_and_shows_in_the_next_pass(
    pod_worker: WorkerProcess, client: Client, engine: PrivateEngine, port: int
) -> None:
    before = Scrape(port)
    with Pod.running(client, engine, "counted", SPEC):
        after = scrape_once(port, "a running pod", pods_in(Phase.RUNNING, 1))
        assert moved(before, after, "pinacle_reconcile_total", result="changed") == 1
        assert moved(before, after, "pinacle_step_total", step="start_container", result="ok") == 1
        assert moved(before, after, "pinacle_step_total", result="failed") == 0
        assert moved(before, after, "pinacle_pass_duration_seconds_count") >= 1
        assert after("pinacle_engine_call_duration_seconds_count", call="container_start") >= 1
        assert moved(before, after, "pinacle_recovery_duration_seconds_count") == 0, "nothing was recovered"
    scrape_once(port, "no pod, and its tombstone", pods_in(Phase.RUNNING, 0))


def test_a_crash_and_a_lost_container_are_recoveries_and_a_second_crash_is_a_back_off(
    pod_worker: WorkerProcess, pod: Pod, port: int
) -> None:
    before = Scrape(port)
    pod.engine.docker("kill", pod.container)
    after = scrape_once(port, "a recovery", recovered(before, 1))
    assert moved(before, after, "pinacle_step_total", step="record_exit", result="ok") == 1
    assert moved(before, after, "pinacle_backoff_total") == 0
    assert 0 < moved(before, after, "pinacle_recovery_duration_seconds_sum") < 10

    before = after
    pod.lose_container()
    after = scrape_once(port, "another recovery", recovered(before, 1))
    assert moved(before, after, "pinacle_step_total", step="create_container", result="ok") == 1
    pod.wait_for_another_container()

    before = after
    pod.engine.docker("kill", pod.container)
    after = scrape_once(port, "a back-off", lambda s: moved(before, s, "pinacle_backoff_total") == 1)
    after = scrape_once(port, "the end of it", recovered(before, 1))
    waited = moved(before, after, "pinacle_recovery_duration_seconds_sum")
    assert waited > 0.7, "the back-off of about a second belongs to it"


def recovered(before: Scrape, number: int) -> Any:
    return lambda scrape: moved(before, scrape, "pinacle_recovery_duration_seconds_count") == number


def test_what_cannot_work_counts_as_failed(
    pod_worker: WorkerProcess, client: Client, engine: PrivateEngine, port: int
) -> None:
    """A command that the image does not have, so that the Engine refuses to start it."""
    before = Scrape(port)
    try:
        answer = client.call("create", "impossible", {**SPEC, "command": ["/not-there"], "init": False})
        assert answer["phase"] == "failed", answer
        after = scrape_once(port, "a failed pod", pods_in(Phase.FAILED, 1))
    finally:
        client.call("delete", "impossible")
    assert moved(before, after, "pinacle_reconcile_total", result="failed") == 1
    assert moved(before, after, "pinacle_step_total", step="start_container", result="failed") == 1


def test_messages_that_nobody_reads_are_counted(
    pod_worker: WorkerProcess, redis_server: RedisServer, port: int
) -> None:
    """Those sent without a queue, also with a priority, and those for a host that has no worker any more."""
    with Celery(broker=redis_server.url) as app:
        app.send_task("pods.get", args=["nobody"])
        app.send_task("pods.get", args=["nobody"], priority=9)
    with Redis.from_url(redis_server.url) as redis:
        assert redis.llen("celery") == 1
        redis.hset("pinacle:storages", "given-up", "x")
        redis.lpush("pods.given-up", "{}")
        try:
            assert Scrape(port)("pinacle_unread_messages") == 3
        finally:
            redis.delete("celery", "celery\x06\x169", "pods.given-up")
            redis.hdel("pinacle:storages", "given-up")
    assert Scrape(port)("pinacle_unread_messages") == 0


def test_what_pods_use_is_measured_together(pod: Pod, port: int) -> None:
    """By ranks, after two measurements also what counts from a start; of no pod by its name."""
    pod.engine.docker("exec", "-d", pod.container, "sh", "-c", "while :; do :; done")
    busiest = "pinacle_busiest_pods_cpus"
    scrape = scrape_once(
        port,
        "a busy pod, measured twice",
        lambda scrape: scrape.has(busiest) and scrape(busiest, rank="first") > 0.05,
        within_s=60,
    )
    assert scrape("pinacle_pods_cpus") >= scrape("pinacle_busiest_pods_cpus", rank="first")
    assert (
        scrape("pinacle_pods_memory_bytes") >= scrape("pinacle_largest_pods_memory_bytes", rank="first") > 0
    )
    assert scrape("pinacle_pods_pids") >= 2
    assert scrape("pinacle_pods_network_bytes_per_second", direction="sent") >= 0


def test_no_pod_and_no_value_of_env_is_shown(pod_worker: WorkerProcess, pod: Pod, port: int) -> None:
    """Neither after a creation nor after a crash; and each label is a word, a number or a name of a queue."""
    before = Scrape(port)
    pod.engine.docker("kill", pod.container)
    scrape = scrape_once(port, "a recovery", recovered(before, 1))
    assert CANARY not in scrape.text
    assert (pod.container_id() or "?")[:12] not in scrape.text
    ours = [sample for sample in scrape.samples if sample.name.startswith("pinacle_")]
    queues = {sample.labels["queue"] for sample in ours if "queue" in sample.labels}
    others = [
        sample.labels[name] for sample in ours for name in sample.labels.keys() - {"le", "queue", "percent"}
    ]
    assert all(map(WORD.fullmatch, others)), set(others)
    assert queues >= {"pods", "questions"}
    assert len(queues) == len((*shared_queues(), *host_queues("vm")))
    assert len(ours) < 700, "a label is not bounded"


def test_outages_show_and_end(scratch: Path, settings: dict[str, str]) -> None:
    """A cut event stream, a killed Engine, a killed Redis: what can be reported meanwhile is reported."""
    number = free_port()
    with own_stack(scratch, {**settings, "PINACLE_METRICS_PORT": str(number)}, proxied=True) as stack:
        before = scrape_once(number, "a stream", lambda s: s("pinacle_event_stream_up") == 1)
        assert stack.proxy is not None
        assert stack.proxy.break_off("^GET /events") == 1
        scrape_once(
            number, "a reconnect", lambda s: moved(before, s, "pinacle_event_stream_reconnects_total") == 1
        )
        stack.engine.kill()
        away = scrape_once(
            number,
            "an Engine that is away",
            lambda s: (
                s("pinacle_event_stream_up") == 0 and moved(before, s, "pinacle_engine_failures_total") > 0
            ),
        )
        stack.engine.start()
        scrape_once(number, "a stream", lambda s: s("pinacle_event_stream_up") == 1)
        scrape_once(number, "a pass", lambda s: moved(away, s, "pinacle_last_pass_timestamp_seconds") > 0)
        stack.redis.kill()
        scrape_once(number, "no queues", lambda s: not s.has("pinacle_queue_length"))
        assert not Scrape(number).has("pinacle_unread_messages")
        stack.redis.start()
        scrape_once(number, "queues", lambda s: s.has("pinacle_queue_length"))


def test_a_port_that_is_taken_is_reported_once_and_used_as_soon_as_it_is_free(
    tmp_path: Path, settings: dict[str, str], own_redis: RedisServer
) -> None:
    """The worker does its work meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mine = {"PINACLE_METRICS_PORT": str(port), "PINACLE_REDIS_URL": own_redis.url}
        worker = WorkerProcess(tmp_path, {**settings, **mine}, "other")
        worker.start()
        (line,) = [json.loads(line) for line in worker.text().splitlines() if "metrics_not_served" in line]
    try:
        assert line["level"] == "error"
        assert f"port {port} of 127.0.0.1" in line["reason"]
        assert "PINACLE_METRICS_PORT" in line["reason"]
        wait_until(lambda: "metrics_served" in worker.text(), 20, what="a server on the free port")
        scrape_once(port, "a pass", lambda s: s("pinacle_storage_accepted") == 1)
        assert worker.text().count("metrics_not_served") == 1
    finally:
        assert worker.stop() == 0
    assert "Traceback" not in worker.text(), worker.text()
