"""What follows when a pod's container has ended, or is gone, and nobody asked for that.

Whether a pod has finished must not depend on its container, so the note about the end of its last start
outlives that. With `restart: never` a pod runs once for each request.
"""

from worker.errors import ErrorKind
from worker.planner.decision import Plan, fail, go, rest
from worker.planner.exit_reason import ending
from worker.planner.ownership import container_problem
from worker.planner.steps import NoteLost, RecordExit
from worker.pods.model import Installation, Phase, Record
from worker.pods.observation import ContainerState, Observation, ObservedContainer
from worker.pods.spec import PodSpec, Restart


def asked(record: Record) -> bool:
    """Whether the present intent has not been reached yet: what ended before it ended is no crash."""
    return record.state.settled_generation < record.intent.generation


def plan_note(record: Record, seen: Observation, spec: PodSpec, own: Installation) -> Plan | None:
    """Return how to note an unexpected end, before anything is done about it; None if there is none.

    A container that is gone may have ended first, or may have been removed while it ran: nobody can tell.
    Only with `never` does that count as an end: with the others the pod should still run.
    """
    container, state = seen.container, record.state
    if asked(record) or _is_noted(record) or _by_us(record, container):
        return None
    if container is None:
        lost = state.container_id is not None and spec.restart is Restart.NEVER
        return go(NoteLost()) if lost else None
    # First of all: a start overwrites exit code and times, and a removal takes them along. Only an inspect
    # has them, so there is one for each newly dead container (protocol 11).
    ended = container.state is ContainerState.EXITED or (
        container.state is ContainerState.DEAD and spec.restart is not Restart.ALWAYS
    )
    ours = container_problem(record.pod_id, container, own) is None
    return go(RecordExit(container.id)) if ended and ours else None


def finished(record: Record, spec: PodSpec) -> Plan | None:
    """Return how a pod rests that ended by itself and must not run again by itself; None for any other."""
    crash = record.state.crash
    if asked(record) or crash is None or not _is_noted(record):
        return None
    well = crash.exit_code == 0  # never for one whose end nobody saw
    if spec.restart is Restart.NEVER or (spec.restart is Restart.ON_FAILURE and well):
        reason = f"{ending(crash, spec)}; restart is '{spec.restart}'"
        return rest(Phase.STOPPED, reason) if well else fail(ErrorKind.ENDED, reason)
    return None


def _is_noted(record: Record) -> bool:
    return record.state.crash is not None and record.state.crash.run == record.state.starts


def _by_us(record: Record, container: ObservedContainer | None) -> bool:
    """Whether we stopped it, for example because another container replaces it."""
    stop = record.state.stop
    ended = container.id if container is not None else record.state.container_id
    return stop is not None and (stop.container_id, stop.run) == (ended, record.state.starts)
