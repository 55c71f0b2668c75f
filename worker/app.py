"""The composition root: the Celery app, and what a worker process is made of."""

from typing import TYPE_CHECKING, Any, Final

import stamina
import structlog
from celery.signals import (
    celeryd_after_setup,
    setup_logging,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from config.celery import make_app
from config.logging import configure_logging
from config.queues import host_queues
from config.settings import settings, unknown_variables
from worker.errors import PodError
from worker.process.bootsteps import ConsumerHeart, PodWork
from worker.process.runtime import Runtime

if TYPE_CHECKING:
    from worker.intake.pool import LanePool
    from worker.telemetry.traces import Traces

_log: Final = structlog.get_logger(__name__)

app: Final = make_app()
app.steps["worker"].add(PodWork)
app.steps["consumer"].add(ConsumerHeart)
app.set_default()

_FLUSH_S: Final = 3.0
"""Longest that the end of a worker waits for the collector of traces."""


class _Process:
    """What lives as long as the worker process."""

    runtime: Runtime | None = None
    pool: "LanePool | None" = None
    traces: "Traces | None" = None


def runtime() -> Runtime:
    """Return the runtime of this worker process."""
    if _Process.runtime is None:
        raise RuntimeError("pod tasks run in a worker: celery -A worker.app:app worker")
    return _Process.runtime


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    configure_logging(level=settings().log_level, style=settings().log_format)
    # Code that retries logs its own tries.
    stamina.instrumentation.set_on_retry_hooks([])


@celeryd_after_setup.connect
def _name_unknown_settings(**_: Any) -> None:
    if names := unknown_variables():
        _log.warning(
            "settings_unknown", variables=names, reason="no setting of this version; docs/settings.md"
        )


@celeryd_after_setup.connect
def _start_traces(**_: Any) -> None:
    """Turn traces on if they are wanted, before there are clients of Redis and the Engine."""
    if settings().otlp_endpoint is None:
        return
    try:
        from worker.telemetry.traces import Traces  # noqa: PLC0415 - takes memory that should cost nothing while they are off

        _Process.traces = Traces()
    except (ImportError, ValueError) as error:
        _log.warning("traces_off", reason=str(error), packages="requirements-traces.lock")


def _traces() -> "tuple[Traces, ...]":
    return () if _Process.traces is None else (_Process.traces,)


@celeryd_after_setup.connect
def _join_host(instance: Any, **_: Any) -> None:
    """Find out which host this is, and read its own queue as well."""
    try:
        _Process.runtime = Runtime(settings(), *_traces())
    except PodError as error:
        # Celery logs what a receiver of a signal raises, and goes on without it, unless it is a SystemExit.
        _log.critical("worker_cannot_start", reason=str(error))
        raise SystemExit(f"error: {error}") from None
    for queue in host_queues(_Process.runtime.parts.host):
        instance.app.amqp.queues.select_add(queue)
    instance.pod_runtime = _Process.runtime


@worker_ready.connect
def _note_pool(sender: Any, **_: Any) -> None:
    _Process.pool = sender.pool


@worker_shutting_down.connect
def _stop_waiting(**_: Any) -> None:
    if _Process.pool is not None:
        _Process.pool.let_go()
    if _Process.runtime is not None:
        _Process.runtime.stop_waiting()


@worker_shutdown.connect
def _close(**_: Any) -> None:
    if _Process.runtime is not None:
        _Process.runtime.stop(settings().step_deadline_s)
        _Process.runtime = None
    if _Process.traces is not None:
        _Process.traces.stop(_FLUSH_S)
