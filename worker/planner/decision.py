"""What the planner answers."""

from dataclasses import dataclass

from worker.planner.steps import Step
from worker.pods.model import Phase


@dataclass(frozen=True, kw_only=True)
class GivenUp:
    """Why an intent cannot be carried out, and until when (seconds since the epoch) it is not tried again."""

    reason: str
    until: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The next steps for one pod, and where it stands when they are done; no steps means that it rests."""

    steps: tuple[Step, ...] = ()
    phase: Phase
    reason: str | None = None
    """What it waits for or what is wrong."""
    retry_at: float | None = None
    """Seconds since the epoch; None if only an event or a new intent changes anything."""
    given_up: GivenUp | None = None
    """Set if the intent cannot be carried out: the pod goes on as it was."""


def go(*steps: Step, phase: Phase = Phase.PENDING) -> Plan:
    return Plan(steps=steps, phase=phase)


def give_up(reason: str, *, until: float) -> Plan:
    given_up = GivenUp(reason=reason, until=until)
    return Plan(phase=Phase.FAILED, reason=reason, retry_at=until, given_up=given_up)


def rest(phase: Phase, reason: str | None = None, *, retry_at: float | None = None) -> Plan:
    return Plan(phase=phase, reason=reason, retry_at=retry_at)
