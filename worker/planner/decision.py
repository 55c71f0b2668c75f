"""What the planner answers."""

from dataclasses import dataclass

from worker.errors import ErrorKind
from worker.planner.steps import Step
from worker.pods.model import Phase


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """Why an intent cannot be carried out, and until when (seconds since the epoch) it is not tried again."""

    reason: str
    until: float
    kind: str = ErrorKind.UPDATE_REFUSED
    """The word of the contract for it; a text for one that a newer worker recorded."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The next steps for one pod, and where it stands when they are done; no steps means that it rests."""

    steps: tuple[Step, ...] = ()
    phase: Phase
    reason: str | None = None
    """What it waits for or what is wrong."""
    kind: str | None = None
    """What kind of error that is; set if it failed."""
    retry_at: float | None = None
    """Seconds since the epoch; None if only an event or a new intent changes anything."""
    given_up: GivenUp | None = None
    """Set if the intent cannot be carried out: the pod goes on as it was."""


def go(*steps: Step, phase: Phase = Phase.PENDING) -> Plan:
    return Plan(steps=steps, phase=phase)


def give_up(reason: str, *, until: float, kind: str = ErrorKind.UPDATE_REFUSED) -> Plan:
    given_up = GivenUp(reason=reason, until=until, kind=kind)
    return Plan(phase=Phase.FAILED, reason=reason, kind=kind, retry_at=until, given_up=given_up)


def fail(kind: str, reason: str) -> Plan:
    """Return that a pod fails, until somebody changes something."""
    return Plan(phase=Phase.FAILED, reason=reason, kind=kind)


def rest(
    phase: Phase, reason: str | None = None, *, retry_at: float | None = None, kind: str | None = None
) -> Plan:
    return Plan(phase=phase, reason=reason, retry_at=retry_at, kind=kind)
