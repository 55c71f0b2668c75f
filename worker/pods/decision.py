"""What the planner answers."""

from dataclasses import dataclass

from worker.pods.model import Phase
from worker.pods.steps import Step


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The next steps for one pod, and where it stands when they are done; no steps means that it rests."""

    steps: tuple[Step, ...] = ()
    phase: Phase
    reason: str | None = None
    """What it waits for or what is wrong."""
    retry_at: float | None = None
    """Seconds since the epoch; None where only an event or a new intent changes anything."""


def go(*steps: Step, phase: Phase = Phase.PENDING) -> Plan:
    return Plan(steps=steps, phase=phase)


def rest(phase: Phase, reason: str | None = None, *, retry_at: float | None = None) -> Plan:
    return Plan(phase=phase, reason=reason, retry_at=retry_at)
