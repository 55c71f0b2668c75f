"""What a worker counts and measures, for Prometheus.

The parts of a worker report what they did to an observer. This one turns that into metrics, and no part knows
it. A label is always one of a few words from the code: never a pod, and nothing that came with a message.
"""

from collections.abc import Callable, Iterable, Mapping
from math import inf
from typing import Final, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from worker.errors import (
    EngineFailedError,
    EngineUnavailableError,
    LeaseHeldError,
    OutcomeUnknownError,
    PermanentError,
    PodError,
)
from worker.interfaces import PassReport, Reconciled, Unobserved
from worker.planner.steps import Step, name_of_kind
from worker.pods.model import Phase, PodState

_STEPS: Final = tuple(map(name_of_kind, get_args(Step)))
_STEP_RESULTS: Final = ("ok", "retry", "failed", "bug")
_RECONCILE_RESULTS: Final = ("unchanged", "changed", "retry", "failed", "busy", "bug")
_ENGINE_FAILURES: Final = ("unavailable", "unknown", "refused")
_MAY_REFUSE: Final = ("container_create", "container_start")
"""Calls whose failure may be about what one pod's spec says, even if it comes as a 5xx."""
_MAY_TAKE_LONGER: Final = "container_stop"
"""The call that may outlast its deadline on a healthy Engine: a pod's processes may take long to end."""
_CALL_BUCKETS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, inf)
_WORK_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, inf)


class Metrics(Unobserved):
    """The metrics of one process, in a registry of their own: Flower uses the global one.

    Series whose labels are known exist from the beginning, at 0: if a series appeared with its first
    increase, that increase would not count.
    """

    def __init__(self) -> None:
        # Otherwise each counter would have a second series, with the time at which it was made.
        disable_created_metrics()  # type: ignore[no-untyped-call] # its types were forgotten
        self.registry = CollectorRegistry(auto_describe=True)
        self._count_pods()
        self._count_reconciles()
        self._count_passes()
        self._count_engine()
        self._ask()
        GCCollector(self.registry)
        PlatformCollector(self.registry)
        ProcessCollector(registry=self.registry)

    def _count_pods(self) -> None:
        self._pods = self._gauge(
            "pinacle_pods",
            "Pods of this host at the end of the last complete pass; `deleted` are remembered for some days.",
            "phase",
        )
        for phase in Phase:
            self._pods.labels(phase.value)
        self._recovery = self._histogram(
            "pinacle_recovery_duration_seconds",
            "From a container found dead or lost to running again by itself, back-off included.",
        )
        self._backoff = self._counter("pinacle_backoff_total", "Crashes that were put into back-off.")

    def _count_reconciles(self) -> None:
        self._reconciles = self._counter(
            "pinacle_reconcile_total",
            "Reconciles: `unchanged`, `changed`, tried again later (`retry`), `failed` for good, left to "
            "another process (`busy`), or stopped by a `bug`.",
            "result",
        )
        for result in _RECONCILE_RESULTS:
            self._reconciles.labels(result)
        self._reconcile_duration = self._histogram(
            "pinacle_reconcile_duration_seconds", "How long one reconcile took."
        )
        self._steps = self._counter(
            "pinacle_step_total",
            "Steps: `ok`, to be tried again (`retry`), `failed` for good, or stopped by a `bug`.",
            "step",
            "result",
        )
        for step in _STEPS:
            for result in _STEP_RESULTS:
                self._steps.labels(step, result)

    def _count_passes(self) -> None:
        self._last_pass = self._gauge(
            "pinacle_last_pass_timestamp_seconds", "When the last complete pass ended; 0 before the first."
        )
        self._pass_duration = self._histogram(
            "pinacle_pass_duration_seconds",
            "How long one complete pass took, with the repairs it waited for.",
        )
        self._storage = self._gauge(
            "pinacle_storage_accepted",
            "1 while the host's storage is the one that holds its pods, 0 while that is missing.",
        )
        self._pass_began = -inf

    def _count_engine(self) -> None:
        self._calls = self._histogram(
            "pinacle_engine_call_duration_seconds",
            "How long the Engine took to answer one call, by the kind of call.",
            "call",
            buckets=_CALL_BUCKETS,
        )
        self._engine_failures = self._counter(
            "pinacle_engine_failures_total",
            "Calls that the Engine could not be asked or answered with a 5xx (`unavailable`), or whose "
            "outcome is `unknown`: the connection broke, or no answer in time, stops left out. A 5xx to the "
            "creation or start of one container that may be about its pod alone is `refused`.",
            "reason",
        )
        for reason in _ENGINE_FAILURES:
            self._engine_failures.labels(reason)
        self._stream_up = self._gauge(
            "pinacle_event_stream_up", "1 while the Engine's event stream is connected, 0 while it is not."
        )
        self._reconnects = self._counter(
            "pinacle_event_stream_reconnects_total", "Connections of the event stream after the first."
        )
        self._was_connected = False

    def _ask(self) -> None:
        self.queues = self._asked(
            "pinacle_queue_length",
            "Messages that wait in each queue that this worker reads; none while Redis does not answer.",
            "queue",
        )
        self.unread = self._asked(
            "pinacle_unread_messages",
            "Messages that no worker takes: in Celery's default queue `celery`, and in the queues of hosts "
            "whose worker is silent; none while Redis does not answer.",
        )
        self.heartbeats = self._asked(
            "pinacle_heartbeat_age_seconds",
            "Seconds since the worker's `event_loop` and its `consumer` of messages last gave a sign of "
            "life; none of the consumer while it is not connected to Redis.",
            "part",
        )
        self.disk_free = self._asked(
            "pinacle_disk_free_bytes",
            "Free bytes on the disk of the pods' volumes; none while the worker cannot see it.",
        )
        self.disk_floor = self._asked(
            "pinacle_disk_floor_bytes", "Free bytes below which no pod is created: `PINACLE_MIN_FREE_MB`."
        )
        self.use = PodsUse(self._asked)

    def step_ended(self, step: str, error: Exception | None) -> None:
        self._steps.labels(step, "ok" if error is None else _kind(error)).inc()

    def reconciled(self, news: Reconciled) -> None:
        self._reconciles.labels(_result(news)).inc()
        self._reconcile_duration.observe(news.seconds)
        if news.record is not None and news.before is not None:
            self._count_recovery(news.before, news.record.state, news.since_found_s)

    def _count_recovery(self, before: PodState, after: PodState, since_found_s: float) -> None:
        if after.phase is Phase.RUNNING and after.restarts > before.restarts:
            self._recovery.observe(since_found_s)
        if after.phase is Phase.BACKOFF and after.crash != before.crash:
            self._backoff.inc()

    def pass_ended(self, report: PassReport) -> None:
        self._last_pass.set_to_current_time()
        self._pass_duration.observe(report.seconds)
        if report.began < self._pass_began:
            return  # This pass waited longer for its repairs than a later one, whose figures are newer.
        self._pass_began = report.began
        self._storage.set(report.storage_accepted)
        for phase in Phase:
            self._pods.labels(phase.value).set(report.phases.get(phase, 0))

    def engine_answered(self, call: str, seconds: float, error: Exception | None) -> None:
        self._calls.labels(call).observe(seconds)
        if isinstance(error, EngineFailedError) and call in _MAY_REFUSE:
            self._engine_failures.labels("refused").inc()
        elif isinstance(error, EngineUnavailableError):
            self._engine_failures.labels("unavailable").inc()
        elif isinstance(error, OutcomeUnknownError) and call != _MAY_TAKE_LONGER:
            self._engine_failures.labels("unknown").inc()

    def stream_connected(self) -> None:
        self._stream_up.set(1)
        if self._was_connected:
            self._reconnects.inc()
        self._was_connected = True

    def stream_disconnected(self) -> None:
        self._stream_up.set(0)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _asked(self, name: str, meaning: str, *labels: str) -> "Asked":
        asked = Asked(name, meaning, *labels)
        self.registry.register(asked)
        return asked

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _WORK_BUCKETS
    ) -> Histogram:
        return Histogram(name, meaning, labels, registry=self.registry, buckets=buckets)


class PodsUse:
    """What the pods of this host use together, and the few that use most: by rank, never by name."""

    def __init__(self, asked: "Callable[..., Asked]") -> None:
        self.cpus = asked(
            "pinacle_pods_cpus",
            "Processors that this host's pods used between the last two measurements, about a minute apart; "
            "none before the second.",
        )
        self.memory = asked(
            "pinacle_pods_memory_bytes",
            "Memory that this host's pods use, without files' pages that the kernel can take back.",
        )
        self.disk = asked(
            "pinacle_pods_disk_bytes",
            "Bytes that this host's pods have on the disk, stopped ones included, as measured last; none "
            "while the worker cannot see them.",
        )
        self.near_limit = asked(
            "pinacle_pods_near_disk_limit",
            "Pods of this host that keep so many percent of what they may keep on its pool, or more.",
            "percent",
        )
        self.pids = asked("pinacle_pods_pids", "Processes and threads of this host's pods.")
        self.network = asked(
            "pinacle_pods_network_bytes_per_second",
            "Bytes a second that this host's pods `received` and `sent` between the last two measurements.",
            "direction",
        )
        self.blocks = asked(
            "pinacle_pods_block_bytes_per_second",
            "Bytes a second that this host's pods `read` from disks and have `written` to them between the "
            "last two measurements.",
            "direction",
        )
        self.busiest = asked(
            "pinacle_busiest_pods_cpus",
            "Processors that each of the five busiest pods used; `pinacle top` names them.",
            "rank",
        )
        self.largest = asked(
            "pinacle_largest_pods_memory_bytes",
            "Memory of each of the five pods that use most; `pinacle top` names them.",
            "rank",
        )


class Asked(Collector):
    """A gauge that is read at each scrape and in its thread, so that passes need not read it."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        """`labels` has one at most."""
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self.read: Callable[[], Mapping[str, float]] = dict
        """Returns label to value, or one value by any name; empty while nobody knows."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = self._family()
        for label, value in self.read().items():
            family.add_metric([label] if self._labels else [], value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._meaning, labels=self._labels)


def _result(news: Reconciled) -> str:
    if news.record is None and isinstance(news.error, LeaseHeldError):
        return "busy"
    if news.error is not None:
        return _kind(news.error)
    return "changed" if news.steps else "unchanged"


def _kind(error: Exception) -> str:
    if isinstance(error, PermanentError):
        return "failed"
    return "retry" if isinstance(error, PodError) else "bug"
