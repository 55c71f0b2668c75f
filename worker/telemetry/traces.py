"""Traces by OpenTelemetry. This is imported only if they are turned on, because it takes memory.

OpenTelemetry's own instrumentation makes the spans of tasks, of Engine calls and of Redis commands. We add a
span for each reconcile and each pass, and see to it that nothing secret and nothing endless is sent.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from threading import Thread
from typing import Any, Final

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode

from worker.interfaces import PassReport, Reconciled, Unobserved

_log: Final = structlog.get_logger(__name__)
_tracer: Final = trace.get_tracer("pinacle")
_WHOLE_HOST: Final = "pass"
_LONGEST_TEXT: Final = 500
"""Characters of a name or an attribute: a pipeline that loads all pods names one command for each."""
_CHATTY: Final = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal")
"""Loggers that write a line for each try while the collector is away; we write one line in total."""
_VERBS: Final = frozenset({"archive", "changes", "create", "json", "start", "stop", "unpause", "update"})
"""Last parts of Engine paths that are not the name of an object."""


class Traces(Unobserved):
    """Traces of this process, from the moment this is made until it is stopped."""

    def __init__(self) -> None:
        """Begin; OpenTelemetry itself reads where to send them, and its other settings."""
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._exporter = DiscreetExporter(OTLPSpanExporter())
        self._provider = TracerProvider(
            resource=_resource(),
            # Otherwise it would wait for the collector at the end of the process, for half a minute.
            shutdown_on_exit=False,
            span_limits=SpanLimits(max_span_attribute_length=_LONGEST_TEXT),
        )
        self._provider.sampler = NoLoneCalls(self._provider.sampler)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        trace.set_tracer_provider(self._provider)
        CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
        AioHttpClientInstrumentor().instrument(request_hook=_name_by_path)
        RedisInstrumentor().instrument()

    def stop(self, grace_s: float) -> None:
        """Send what is left within `grace_s`; do not wait for a collector that is known to be away."""
        ending = Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(0.0 if self._exporter.is_failing else grace_s)
        if ending.is_alive():
            _log.warning("traces_not_flushed")

    def reconciling(self, pod_id: str) -> AbstractContextManager[object]:
        context, links = _place()
        attributes = {"pinacle.pod_id": pod_id}
        return _tracer.start_as_current_span("reconcile", context=context, links=links, attributes=attributes)

    def reconciled(self, news: Reconciled) -> None:
        record, span = news.record, trace.get_current_span()
        if record is None:
            return  # The span sees the error pass.
        span.set_attributes(
            {
                "pinacle.host": record.host,
                "pinacle.intent": record.intent.kind.value,
                "pinacle.result": record.state.phase.value,
                "pinacle.steps": news.steps,
            }
        )
        if news.error is not None:
            span.set_attribute("error.type", type(news.error).__name__)
            span.set_status(StatusCode.ERROR)

    def passing(self) -> AbstractContextManager[object]:
        return _tracer.start_as_current_span(_WHOLE_HOST)

    def pass_ended(self, report: PassReport) -> None:
        counts = {key: value for key, value in report.told.items() if key != "duration_ms"}
        trace.get_current_span().set_attributes({f"pinacle.{key}": value for key, value in counts.items()})


def _place() -> tuple[Context | None, list[Link]]:
    """Return where a reconcile belongs: to what asked for it, or to a trace of its own that links to that.

    A pass may repair any number of pods, and a pod may be tried again long after its task has answered.
    """
    cause = trace.get_current_span()
    if isinstance(cause, ReadableSpan) and (cause.name == _WHOLE_HOST or cause.end_time is not None):
        return Context(), [Link(cause.get_span_context())]
    return None, []


class NoLoneCalls(Sampler):
    """Leaves out calls that belong to no trace: Celery's polling, heartbeats, the Engine's event stream."""

    def __init__(self, otherwise: Sampler) -> None:
        self._otherwise = otherwise

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        if kind is SpanKind.CLIENT and not parent.is_valid:
            return SamplingResult(Decision.DROP)
        return self._otherwise.should_sample(parent_context, trace_id, name, kind, *args, **kwargs)

    def get_description(self) -> str:
        return f"NoLoneCalls({self._otherwise.get_description()})"


class DiscreetExporter(SpanExporter):
    """Passes spans on without the texts of errors, and logs once if they cannot be sent.

    An error of Redis or of a parser quotes its input, which may be a pod's `env`.
    """

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self.is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export([_discreet(span) for span in spans])
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self.is_failing:
            _log.warning(
                "traces_not_sent", reason="the collector does not take them; this tries again silently"
            )
        elif self.is_failing and not failing:
            _log.info("traces_sent_again")
        self.is_failing = failing
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _discreet(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name[:_LONGEST_TEXT],
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_discreet_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _discreet_event(event: Event) -> Event:
    kept = {key: value for key, value in (event.attributes or {}).items() if key == "exception.type"}
    return Event(event.name, kept, event.timestamp)


def _resource() -> Resource:
    made = Resource.create()
    if str(made.attributes[SERVICE_NAME]).startswith("unknown_service"):
        return made.merge(Resource({SERVICE_NAME: "pinacle-pod-worker"}))
    return made


def _name_by_path(span: Span, request: Any) -> None:
    """Name a span by what its call does; otherwise its name would be the method alone."""
    _, *parts = request.url.path.removeprefix("/v1.").split("/")
    last = [parts[-1]] if len(parts) > 1 and parts[-1] in _VERBS else []
    named = ["{name}"] if len(parts) > 1 + len(last) else []
    span.update_name(f"{request.method} /{'/'.join([*parts[:1], *named, *last])}")
