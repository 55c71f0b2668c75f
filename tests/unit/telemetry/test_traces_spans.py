"""The span of a reconcile and of a pass: what it says, where it belongs, and how it ends with an error."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from tests.support.situations import pod
from worker.errors import LeaseHeldError, StorageMissingError
from worker.interfaces import PassReport, Reconciled
from worker.telemetry import traces
from worker.telemetry.observers import Observers


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Collect our spans, for this test only."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_tracer", provider.get_tracer("pinacle"))
    yield exporter
    provider.shutdown()


@pytest.fixture
def observer(sent: InMemorySpanExporter) -> Iterator[Observers]:
    """Observers as in a process, but without sending spans; none may fail."""
    with capture_logs() as logs:
        yield Observers(traces.Traces.__new__(traces.Traces))
    assert logs == []


def news(**more: Any) -> Reconciled:
    return Reconciled(seconds=0.1, since_found_s=0.2, **more)


def only(sent: InMemorySpanExporter) -> ReadableSpan:
    (span,) = sent.get_finished_spans()
    return span


def test_a_reconcile_says_how_it_left_the_pod(observer: Observers, sent: InMemorySpanExporter) -> None:
    with observer.reconciling("a"):
        observer.reconciled(news(record=pod(), steps=("create_volume", "start_container")))
    span = only(sent)
    assert span.name == "reconcile"
    assert dict(span.attributes or {}) == {
        "pinacle.pod_id": "a",
        "pinacle.host": "here",
        "pinacle.intent": "running",
        "pinacle.result": pod().state.phase.value,
        "pinacle.steps": ("create_volume", "start_container"),
    }
    assert span.status.is_unset


def test_an_error_in_the_record_is_one_of_the_span(observer: Observers, sent: InMemorySpanExporter) -> None:
    with observer.reconciling("a"):
        observer.reconciled(news(record=pod(), error=StorageMissingError("a disk is away")))
    span = only(sent)
    assert (span.attributes or {})["error.type"] == "StorageMissingError"
    assert not span.status.is_ok
    assert not span.status.is_unset


def test_one_that_broke_off_is_noted_with_its_kind(observer: Observers, sent: InMemorySpanExporter) -> None:
    error = LeaseHeldError("another process has it")
    with suppress(LeaseHeldError), observer.reconciling("a"):
        observer.reconciled(news(error=error))
        raise error
    span = only(sent)
    assert dict(span.attributes or {}) == {"pinacle.pod_id": "a"}
    assert (span.events[0].attributes or {})["exception.type"] == "worker.errors.LeaseHeldError"
    assert not span.status.is_unset


def test_a_pass_says_what_it_found_and_a_repair_is_a_trace_of_its_own(
    observer: Observers, sent: InMemorySpanExporter
) -> None:
    """It links to the pass, which may repair any number of pods."""
    told: dict[str, str | int | float] = {"host": "here", "pods": 3, "duration_ms": 12.5}
    report = PassReport(began=0.0, seconds=1.0, phases={}, storage_accepted=True, told=told)
    with observer.passing():
        with observer.reconciling("a"):
            pass
        observer.pass_ended(report)
    reconcile, whole = sent.get_finished_spans()
    assert (whole.name, dict(whole.attributes or {})) == ("pass", {"pinacle.host": "here", "pinacle.pods": 3})
    assert (reconcile.parent, [link.context for link in reconcile.links]) == (None, [whole.context])
    assert reconcile.context is not None
    assert whole.context is not None
    assert reconcile.context.trace_id != whole.context.trace_id
