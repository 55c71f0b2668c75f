"""What is sent of a span, whatever was recorded in it."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from worker.telemetry.traces import DiscreetExporter

CANARY = "canary-52d1"


def test_an_errors_text_is_not_sent_but_its_type_is() -> None:
    """For example, redis-py quotes the command of a pipeline that failed."""
    sent = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(DiscreetExporter(sent)))
    failing = provider.get_tracer("test").start_as_current_span("failing")
    with pytest.raises(ValueError, match=CANARY), failing:
        raise ValueError(f"Command # 1 (HSET unacked {CANARY}) of pipeline caused error")
    (span,) = sent.get_finished_spans()
    assert CANARY not in span.to_json()
    assert not span.status.is_ok
    assert dict(span.events[0].attributes or {}) == {"exception.type": "ValueError"}
