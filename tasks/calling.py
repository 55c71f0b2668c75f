"""From a Celery task to the service and back: waiting, passing on, and what a caller sees of an error."""

from collections.abc import Coroutine
from functools import partial
from inspect import signature
from typing import Any, Final

from celery.exceptions import CeleryError, Ignore
from celery.worker import state as worker_state
from kombu import Queue
from kombu.exceptions import OperationalError
from structlog.contextvars import bound_contextvars

from config.queues import ACCEPTED, host_queue
from tasks.moving import AnyTask, pass_on
from worker.app import app, runtime
from worker.errors import (
    InternalError,
    InvalidInputError,
    PermanentError,
    PodError,
    RetryableError,
    StoreUnavailableError,
)
from worker.intake.lanes import TAKEN_AT, lane_of
from worker.pods.requests import Change, Request
from worker.service.examination import Forward
from worker.service.inside.asked import Execution, Logs

_LITTLE: Final = 32
"""Characters of a result: the beginning of the pod's id, which comes first."""


class PodTask(app.Task):  # type: ignore[misc, name-defined]  # Celery makes the class at run time
    """A task that checks its arguments itself: Python's own errors may quote them, and they may be secret."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        allowed = signature(self.run)
        try:
            allowed.bind(*args, **kwargs)
        except TypeError:
            raise InvalidInputError(
                f"arguments: {len(args)} and {len(kwargs)} by name do not fit; "
                f"allowed: {self.name}({', '.join(allowed.parameters)})"
            ) from None
        try:
            return self.run(*args, **kwargs)
        except CeleryError:
            raise
        except PodError as error:
            # No bug, so where it was raised helps nobody, and Celery would copy each frame of it.
            raise error.with_traceback(None) from None
        except OperationalError as error:
            raise StoreUnavailableError(f"Redis cannot be reached: {error}") from error
        except Exception as error:
            # Its text was not made for people, and could contain anything.
            raise InternalError(
                f"the worker failed with {type(error).__name__}: its log says what happened"
            ) from error


pod_task: Final = partial(
    app.task,
    bind=True,
    base=PodTask,
    throws=(PermanentError, RetryableError),
    Request="worker.telemetry.celery_request:RedactedRequest",
)
"""Makes a task of a function.

Its arguments are redacted wherever others see them. A refusal is no bug, so it is logged without a traceback.
"""
question: Final = partial(pod_task, track_started=False)
"""Makes a task of a function that only reads: its start is not worth a write to Redis' disk."""
peek: Final = partial(question, resultrepr_maxsize=_LITTLE)
"""Makes a task of a function that looks into a pod: nothing that it printed is shown to others."""
_in_flight: Final[set[str]] = set()
"""Ids of the tasks that are running in this process."""


def submit(task: AnyTask, pod_id: str, request: Request | Change) -> dict[str, Any]:
    """Have the request accepted and its pod reconciled. Raises PodError with a text for the caller."""
    task_id = str(task.request.id)
    own = runtime()
    if task_id in worker_state.revoked and not getattr(task.request, ACCEPTED, False):
        # It was revoked while it waited for a thread, and its result says so.
        raise Ignore
    if task_id in _in_flight and own.loop.run(own.parts.intents.is_accepted(task_id)):
        # This is a second copy of a message whose first copy is being worked on: that one gives the answer.
        raise Ignore
    lane = lane_of(str(task.name))
    may_wait = own.may_wait(lane)
    _in_flight.add(task_id)
    try:
        with bound_contextvars(task_id=task_id, pod_id=pod_id, host=own.parts.host):
            result = own.loop.run(own.parts.intents.submit(pod_id, request, task_id=task_id, wait=may_wait))
    finally:
        _in_flight.discard(task_id)
        if may_wait:
            own.done_waiting(lane)
    if isinstance(result, Forward):
        pass_on(task, result.host, accepted=result.accepted)
    return result


def preview(task: AnyTask, pod_id: str, request: Request | Change) -> dict[str, Any]:
    """Tell what the request would do, without doing it; raises PodError with a text for the caller."""
    own = runtime()
    with bound_contextvars(task_id=str(task.request.id), pod_id=pod_id, host=own.parts.host):
        result = own.loop.run(own.parts.previews.show(pod_id, request))
    if isinstance(result, Forward):
        pass_on(task, result.host)
    return result


def look(task: AnyTask, pod_id: str, asked: Logs | Execution) -> dict[str, Any]:
    """Look into a pod, on its host; raises PodError with a text for the caller."""
    task_id = str(task.request.id)
    own = runtime()
    if task_id in _in_flight:
        # A second copy of a message whose first copy is at work: that one will give the answer.
        raise Ignore
    _in_flight.add(task_id)
    try:
        with bound_contextvars(task_id=task_id, pod_id=pod_id, host=own.parts.host):
            result = own.loop.run(own.parts.inside.look(pod_id, asked, task_id=task_id))
    finally:
        _in_flight.discard(task_id)
    if isinstance(result, Forward):
        pass_on(task, result.host)
    return result


def usage(task: AnyTask, pod_id: str | None, host: Any) -> dict[str, Any]:
    """Measure one pod on its host, or all pods of `host`; None stands for the host that answers.

    Raises PodError with a text for the caller, such as InvalidInputError for a `host` that has no worker.
    """
    own = runtime()
    if pod_id is None:
        if host is not None:
            be_there(task, host)
        return answer(own.parts.usage.of_host())
    if host is not None:
        raise InvalidInputError("host: not allowed together with pod_id; allowed: one of the two")
    result = own.loop.run(own.parts.usage.of_pod(pod_id))
    if isinstance(result, Forward):
        pass_on(task, result.host)
    return result


def answer(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run short work and return its result."""
    return runtime().loop.run(work)


def asked_at(task: AnyTask) -> float | None:
    """Return when this process took a question, by the clock of `time.monotonic`; None if it is not known."""
    taken: float | None = getattr(task.request, TAKEN_AT, None)
    return taken


def host_pass(task: AnyTask, host: str | None) -> dict[str, Any]:
    """Run a pass here; if no `host` is named, send the task on to every other live host as well.

    Raises InvalidInputError for a `host` that has no worker.
    """
    own = runtime()
    sent: dict[str, str] = {}
    if host is not None:
        be_there(task, host)
    else:
        for other in own.loop.run(own.parts.hosts.others()):
            message = task.apply_async(
                kwargs={"host": other},
                queue=Queue(host_queue(other)),
                expires=own.settings.reconcile_interval_s,
            )
            sent[other] = message.id
    return {**answer(own.parts.hosts.run_pass()), "sent_to": sent}


def be_there(task: AnyTask, host: Any) -> None:
    """Return on the host that is named; on any other host, pass the message on to it.

    Raises InvalidInputError for a `host` that has no worker.
    """
    own = runtime()
    if not own.loop.run(own.parts.hosts.is_here(host)):
        pass_on(task, host)
