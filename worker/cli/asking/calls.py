"""What is asked of a worker. Celery is loaded only where an intent is set, as that takes most of the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from config.queues import QUESTIONS
from worker.cli.exits import EndingError

NO_WORKER: Final = (
    "no worker has a heartbeat, so nothing was sent: start one with `python -m worker`, then try "
    "again; `pinacle doctor` looks into it"
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A task to be sent."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    pod_id: str | None = None
    """The pod whose intent the task sets, if it sets one."""
    task_id: str | None = None
    """The id under which the task was sent before."""
    timeout_s: float | None = None
    """Longest wait for an answer, in seconds; None means longer than any task takes."""


def call(wanted: Call) -> Any:
    """Send a task and return its result.

    Raises EndingError: with the worker's own words if it refused, and with what to do next if there was no
    answer or somebody interrupted.
    """
    if wanted.name in QUESTIONS:
        from worker.cli.asking.question import put  # noqa: PLC0415 - as in worker.cli.__init__

        return put(wanted)
    from worker.cli.asking.sending import send  # noqa: PLC0415 - as in worker.cli.__init__

    return send(wanted)


def call_each(wanted: Sequence[Call], *, quiet: bool = False) -> list[Any | EndingError]:
    """Send tasks, some at a time; return for each its result, or the EndingError that `call` would raise.

    `quiet` shows nothing of it. Raises EndingError if Redis or all workers are away, and if somebody
    interrupts.
    """
    from worker.cli.asking.sending import send_each  # noqa: PLC0415 - as in worker.cli.__init__

    return send_each(wanted, quiet=quiet)


def unanswered(timeout_s: float) -> str:
    """Return what to say of a call that sets no intent when there was no answer within these seconds."""
    return f"no answer within {timeout_s:g} s: `pinacle doctor` looks into it"
