"""Traces: from the caller's span to the calls to Engine and Redis, with nothing secret in them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
from celery import Celery
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.collector import Collector, attributes
from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

CANARY: Final = "canary-9c41e07b"
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 1,
    "env": {"TOKEN": CANARY},
}

pytestmark = pytest.mark.usefixtures("busybox")


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def worker(
    tmp_path: Path, settings: dict[str, str], redis_url: str, collector: Collector
) -> Iterator[WorkerProcess]:
    """A worker that sends its traces soon."""
    more = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "PINACLE_HOST_ID": "first",
    }
    worker = WorkerProcess(tmp_path, {**settings, **more, "PINACLE_REDIS_URL": redis_url}, "traced")
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def client(worker: WorkerProcess, redis_url: str) -> Iterator[Client]:
    client = Client(redis_url)
    yield client
    for pod in client.call("list")["pods"]:
        client.call("delete", pod["pod_id"])
    client.close()


class Caller:
    """A web app that says which trace a message belongs to, by the W3C's header."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url, backend=redis_url)
        self._client = Client(redis_url)
        self.span_id = token_hex(8)

    def call(self, task: str, *args: Any, trace_id: str, flags: str = "01", queue: str = "pods") -> Any:
        header = {"traceparent": f"00-{trace_id}-{self.span_id}-{flags}"}
        sent = self._app.send_task(task, args=args, queue=queue, headers=header)
        return self._client.receive(sent, timeout_s=60)

    def close(self) -> None:
        self._app.close()
        self._client.close()


@pytest.fixture
def caller(redis_url: str) -> Iterator[Caller]:
    caller = Caller(redis_url)
    yield caller
    caller.close()


def one(spans: list[Span], name: str) -> Span:
    found = [span for span in spans if span.name == name]
    assert len(found) == 1, (name, sorted(span.name for span in spans))
    return found[0]


def wait_for(collector: Collector, trace_id: str, name: str) -> None:
    """Wait for a span that ends after all spans that it caused."""
    wait_until(lambda: name in {span.name for span in collector.spans(trace_id)}, 30, what=f"span {name}")


def test_one_trace_from_the_caller_to_the_engine(
    client: Client, collector: Collector, caller: Caller
) -> None:
    """Each span is below the one that caused it, and none has the value of a variable."""
    trace_id = token_hex(16)
    assert caller.call("pods.create", "traced", SPEC, trace_id=trace_id)["phase"] == "running"
    wait_for(collector, trace_id, "run/pods.create")
    spans = collector.spans(trace_id)
    task, reconcile = one(spans, "run/pods.create"), one(spans, "reconcile")
    assert task.parent_span_id.hex() == caller.span_id
    assert reconcile.parent_span_id == task.span_id
    told = attributes(reconcile)
    assert (told["pinacle.pod_id"], told["pinacle.result"]) == ("traced", "running")
    assert "start" in " ".join(told["pinacle.steps"])
    calls = {span.name: span for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
    for name in ("POST /containers/create", "POST /containers/{name}/start", "HMGET HGETALL"):
        assert name in calls, sorted(calls)
    starts = [span for span in spans if span.name == "POST /containers/{name}/start"]
    assert {span.parent_span_id for span in starts} == {reconcile.span_id}
    below = {span.parent_span_id for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
    assert {task.span_id, reconcile.span_id} <= below <= {span.span_id for span in spans}
    assert_no_canary(collector)


def assert_no_canary(collector: Collector) -> None:
    """Neither in plain text nor encoded as in a message's body."""
    sent = b"".join(collector.bodies)
    assert b"pinacle.pod_id" in sent
    text = json.dumps({"TOKEN": CANARY})
    hidden = [base64.b64encode(text[start:].encode())[8:-8] for start in range(3)]
    assert not [form for form in (CANARY.encode(), *hidden) if form in sent]


def test_a_repair_is_a_trace_of_its_own_and_polling_is_none(
    client: Client, engine: PrivateEngine, collector: Collector
) -> None:
    """Even for a pod whose creation was traced; and no call is alone in a trace."""
    with Pod.running(client, engine, "mended", SPEC) as pod:
        pod.lose_container()
        pod.wait_for_another_container()
        wait_until(lambda: len(repairs(collector)) > 0, 30, what="the repair's span")
        # A pass has begun and ended since, so everything that is sent at an interval was sent.
        seen = len([span for span in collector.spans() if span.name == "pass"])
        wait_until(
            lambda: len([span for span in collector.spans() if span.name == "pass"]) > seen, 30, what="a pass"
        )
    created = one(collector.spans(), "run/pods.create")
    assert created.trace_id not in {span.trace_id for span in repairs(collector)}
    alone = [span.name for span in collector.spans() if not span.parent_span_id]
    assert set(alone) <= {"reconcile", "pass", *(name for name in alone if name.startswith("run/"))}
    assert "BRPOP" not in {span.name for span in collector.spans()}
    assert "GET /events" not in {span.name for span in collector.spans()}
    assert_no_canary(collector)


def repairs(collector: Collector) -> list[Span]:
    """Return reconciles that nobody asked for and that did something."""
    return [
        span
        for span in collector.spans()
        if span.name == "reconcile" and not span.parent_span_id and attributes(span)["pinacle.steps"]
    ]


def test_a_task_passed_on_stays_in_its_trace(
    worker: WorkerProcess,
    client: Client,
    caller: Caller,
    collector: Collector,
    tmp_path: Path,
) -> None:
    """Through the host's own queue, to another worker."""
    other = WorkerProcess(tmp_path, {**worker.settings, "PINACLE_HOST_ID": "other"}, "other")
    other.start()
    try:
        trace_id = token_hex(16)
        caller.call("pods.reconcile", "other", trace_id=trace_id, queue="pods.first")
        wait_until(lambda: len(runs(collector, trace_id)) > 1, 30, what="both spans")
    finally:
        other.stop()
    spans = collector.spans(trace_id)
    passed_on = one(spans, "apply_async/pods.reconcile")
    first, second = sorted(runs(collector, trace_id), key=lambda span: span.start_time_unix_nano)
    assert first.parent_span_id.hex() == caller.span_id
    assert passed_on.parent_span_id == first.span_id
    assert second.parent_span_id == passed_on.span_id


def runs(collector: Collector, trace_id: str) -> list[Span]:
    return [span for span in collector.spans(trace_id) if span.name == "run/pods.reconcile"]


def test_what_a_caller_does_not_sample_is_not_sent(
    client: Client, collector: Collector, caller: Caller
) -> None:
    left_out, wanted = token_hex(16), token_hex(16)
    caller.call("pods.list", trace_id=left_out, flags="00")
    caller.call("pods.list", trace_id=wanted)
    wait_for(collector, wanted, "run/pods.list")
    assert not collector.spans(left_out)


def test_a_worker_goes_on_while_the_collector_is_away(
    worker: WorkerProcess, redis_url: str, engine: PrivateEngine, collector: Collector
) -> None:
    """With one line about it, and no wait for it at the end."""
    collector.close()
    client = Client(redis_url)
    with Pod.running(client, engine, "alone", SPEC) as pod:
        wait_until(lambda: "traces_not_sent" in worker.text(), 30, what="the line")
        assert pod.call("restart", force=True)["phase"] == "running"
    client.close()
    assert worker.stop() == 0
    assert worker.text().count("traces_not_sent") == 1
    assert "Failed to export" not in worker.text()
    assert "Transient error" not in worker.text()


def test_what_is_not_sent_yet_is_sent_at_the_end(
    tmp_path: Path, settings: dict[str, str], redis_url: str, caller: Caller, collector: Collector
) -> None:
    late = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    worker = WorkerProcess(tmp_path, {**settings, **late, "PINACLE_REDIS_URL": redis_url}, "late")
    worker.start()
    trace_id = token_hex(16)
    caller.call("pods.list", trace_id=trace_id)
    assert worker.stop() == 0
    assert "run/pods.list" in {span.name for span in collector.spans(trace_id)}
