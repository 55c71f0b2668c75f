"""Sends a task by its name, and waits for its answer."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from celery.exceptions import TimeoutError as NoAnswerError
from celery.states import SUCCESS
from kombu.exceptions import OperationalError

from config.celery import make_app
from config.queues import queue_of
from config.settings import settings
from worker.cli.asking.calls import NO_WORKER, Call, unanswered
from worker.cli.exits import EndingError, Exit, OtherVersionError
from worker.cli.exits import refused as refusal_of
from worker.cli.records import NEXT, Records, opened
from worker.cli.screen import Bar, Shown, live
from worker.errors import ErrorKind, InvalidInputError, PodError, StoreUnavailableError, described, told_by
from worker.pods.results import visible_phase
from worker.store.translate import translated

_LOOK_EVERY_S: Final = 1.0
_UNKNOWN_ARGUMENTS: Final = "by name do not fit; allowed: "
"""What every version of the worker says of arguments that it does not know."""
_ONCE: Final = "pods.exec"
"""What sets no intent, and is done only once for a task's id all the same."""
_AT_ONCE: Final = 20
"""Tasks that are under way at a time, so that other callers are served meanwhile."""
_ONE_TRY: Final[dict[str, Any]] = {
    "task_publish_retry": False,
    "result_backend_always_retry": False,
    "broker_connection_retry": False,
    "result_backend_transport_options": {"retry_policy": {"max_retries": 0, "timeout": 1.0}},
}
"""There is no retry: a person sees the error at once, and tries again when Redis is back."""


def send(wanted: Call) -> Any:
    """Send a task and return its result.

    Raises EndingError: with the worker's own words if it refused, and with what to do next if there was no
    answer or somebody interrupted.
    """
    with opened() as records, live(_doing(wanted)) as update:
        _check_workers(records)
        try:
            return _ask(wanted, lambda waited_s: _look(records, wanted, waited_s, update))
        except (OperationalError, StoreUnavailableError) as error:
            raise EndingError(Exit.NOBODY, f"{str(error).rstrip('.')}. {NEXT}") from error
        except KeyboardInterrupt:
            raise EndingError(Exit.INTERRUPTED, _interrupted(wanted)) from None


def send_each(wanted: Sequence[Call], *, quiet: bool) -> list[Any]:
    """Send tasks, some at a time; return for each its result, or the EndingError that `send` would raise.

    `quiet` shows nothing of it. Raises EndingError if Redis or all workers are away, and if somebody
    interrupts.
    """
    answers: list[Any] = []
    shown = nullcontext(_show_nothing) if quiet else live(wanted[0].name)
    with opened() as records, shown as update:
        _check_workers(records)
        app = make_app(imports=(), **_ONE_TRY)
        try:
            while len(answers) < len(wanted):
                update(f"{wanted[0].name}  {len(answers)} of {len(wanted)}")
                answers += _ask_some(app, wanted[len(answers) : len(answers) + _AT_ONCE])
        except (OperationalError, StoreUnavailableError) as error:
            done = f"{len(answers)} of {len(wanted)} are done, and others may be later. "
            told = f"{str(error).rstrip('.')}. {'' if wanted[0].pod_id is None else done}{NEXT}"
            raise EndingError(Exit.NOBODY, told) from error
        except KeyboardInterrupt:
            text = f"interrupted: {len(answers)} of {len(wanted)} are done; what was sent is done anyway"
            raise EndingError(Exit.INTERRUPTED, text) from None
    return answers


def _show_nothing(_text: str) -> None:
    pass


def _ask_some(app: Any, wanted: Sequence[Call]) -> list[Any]:
    with translated("send"):
        sent = [_sent(app, each) for each in wanted]
        try:
            return [_outcome(one, each) for one, each in zip(sent, wanted, strict=True)]
        finally:
            for one in sent:
                # As below.
                one.backend = None


def _outcome(sent: Any, wanted: Call) -> Any:
    # Otherwise Celery waits a second for one that was answered while another was waited for.
    sent.ready()
    try:
        answer = _receive(sent, wanted, lambda _waited_s: None)
    except EndingError as error:
        return error
    return answer if sent.state == SUCCESS else _ending(answer)


def _check_workers(records: Records) -> None:
    """Raise EndingError if there is no worker: the task would be done later, when nobody expects it."""
    ages = records.ask(lambda store: store.overview.heartbeat_ages())
    if not any(age <= settings().heartbeat_ttl_s for age in ages.values()):
        raise EndingError(Exit.NOBODY, NO_WORKER)


def _ask(wanted: Call, look: Callable[[float], None]) -> Any:
    app = make_app(imports=(), **_ONE_TRY)
    with translated("send"):
        sent = _sent(app, wanted)
        try:
            with translated("wait"):
                answer = _receive(sent, wanted, look)
        except (OperationalError, StoreUnavailableError) as error:
            raise EndingError(Exit.NOBODY, _went_away(wanted, sent.id, error)) from error
        finally:
            # Otherwise Celery unsubscribes when the result object is collected, when the connection may be
            # gone.
            sent.backend = None
    if sent.state != SUCCESS:
        raise _ending(answer)
    return answer


def _sent(app: Any, wanted: Call) -> Any:
    task_id = wanted.task_id or str(uuid4())
    return app.send_task(
        wanted.name, args=wanted.args, kwargs=wanted.kwargs, queue=queue_of(wanted.name), task_id=task_id
    )


def _receive(sent: Any, wanted: Call, look: Callable[[float], None]) -> Any:
    """Return what the task returned or raised."""
    began, timeout_s = monotonic(), wanted.timeout_s or settings().visibility_timeout_s
    while True:
        try:
            return sent.get(timeout=min(_LOOK_EVERY_S, timeout_s), propagate=False)
        except NoAnswerError:
            waited_s = monotonic() - began
        if waited_s >= timeout_s:
            raise EndingError(Exit.NOBODY, _unanswered(wanted, sent.id, timeout_s))
        look(waited_s)


def refused(stored: Any) -> EndingError:
    """Return the error for what a result that is no success holds in Redis."""
    return _ending(make_app(imports=()).backend.exception_to_python(stored))


def _ending(error: BaseException) -> EndingError:
    told = told_by(error)
    if isinstance(error, InvalidInputError) and _UNKNOWN_ARGUMENTS in str(error):
        text = (
            f"{error}. The worker is of another version than this command: use the `pinacle` of its version"
        )
        return OtherVersionError(Exit.FAILED, text, told)
    if told is not None:
        # Also of a newer worker, whose class of error is not known here.
        return refusal_of(told["message"], told)
    if isinstance(error, PodError):
        # Of an older worker.
        return refusal_of(str(error), described(error.kind, str(error)))
    # Its text was not made for people, and could contain anything.
    text = f"the worker failed with {type(error).__name__}: its log says what happened"
    return refusal_of(text, described(ErrorKind.INTERNAL, text))


def _unanswered(wanted: Call, task_id: str, timeout_s: float) -> str:
    if wanted.pod_id is None:
        return unanswered(timeout_s)
    return (
        f"no answer within {timeout_s:g} s, and it may still be done: send it again with "
        f"--task-id {task_id}, so that it is accepted once, or look: pinacle pods get {wanted.pod_id}"
    )


def _went_away(wanted: Call, task_id: str, error: Exception) -> str:
    """Return what to say if Redis went away while the answer was waited for."""
    told = "Redis went away while an answer was waited for, and it may still be done: once Redis is back,"
    again = f"send it again with --task-id {task_id}, so that it is"
    if wanted.pod_id is not None:
        return f"{told} {again} accepted once, or look: pinacle pods get {wanted.pod_id}"
    if wanted.name == _ONCE:
        return f"{told} {again} done once"
    return f"{str(error).rstrip('.')}. {NEXT}"


def _interrupted(wanted: Call) -> str:
    if wanted.pod_id is None:
        return "interrupted: what was sent is done anyway"
    return (
        f"interrupted: pod {wanted.pod_id} goes on converging; follow it: pinacle pods watch {wanted.pod_id}"
    )


def _doing(wanted: Call, waited_s: float = 0.0, now: str = "") -> str:
    what = f"{wanted.name} {wanted.pod_id or ''}".strip()
    return f"{what}  {waited_s:.0f} s{now}"


def _look(records: Records, wanted: Call, waited_s: float, update: Shown) -> None:
    """Show how long it takes, and where the pod is."""
    bar: Bar | None = None
    with suppress(EndingError):
        bar = None if wanted.pod_id is None else records.progress(wanted.pod_id)
    update(_doing(wanted, waited_s, _now(records, wanted)), bar)


def _now(records: Records, wanted: Call) -> str:
    """Return the pod's current state, as far as it is known."""
    pod_id = wanted.pod_id
    if pod_id is None:
        return ""
    with suppress(EndingError):
        record = records.ask(lambda store: store.load(pod_id))
        if record is not None:
            return "  ".join(filter(None, ["", visible_phase(record), record.state.reason]))
    return ""
