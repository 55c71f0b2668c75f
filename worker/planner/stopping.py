"""How a container's processes are ended: by one stop, which the Engine carries out by itself."""

from typing import Final

from worker.planner.backoff import is_due
from worker.planner.decision import Plan, go, rest
from worker.planner.steps import BeginStop, Step, StopContainer, UnpauseContainer
from worker.pods.model import Phase, Record
from worker.pods.observation import ALIVE, ContainerState, Observation, ObservedContainer

KILL_MARGIN_S: Final = 10.0
"""What the Engine may take, after a stop's own time, to kill what did not end."""


def stopping_steps(container: ObservedContainer, timeout_s: int) -> list[Step]:
    """Return what ends the container's processes; a paused one cannot receive a signal."""
    if container.state not in ALIVE:
        return []
    paused = container.state is ContainerState.PAUSED
    wake: list[Step] = [UnpauseContainer(container.id)] if paused else []
    # Noted before it is sent: a worker that takes over has to know that a stop may be under way, or the pod's
    # processes get their signal twice.
    return [*wake, BeginStop(container.id, timeout_s), StopContainer(container.id, timeout_s)]


def stop_under_way(record: Record, seen: Observation, now: float) -> Plan | None:
    """Return how to wait for a stop that was sent and may not have ended; None if there is none.

    Another one would send the pod's processes their signal once more. Whether the one that is noted ever
    reached the Engine is not always known: when its time and the margin are over, it is sent again.
    """
    stop, container = record.state.stop, seen.container
    if stop is None or container is None or container.state not in ALIVE:
        return None
    if (stop.container_id, stop.run) != (container.id, record.state.starts):
        return None
    longest = stop.timeout_s + KILL_MARGIN_S
    if is_due(stop.sent_at + longest, now, longest=longest):
        return None
    if container.state is ContainerState.PAUSED:
        return go(UnpauseContainer(container.id))
    return rest(
        Phase.PENDING,
        f"it is being stopped: its processes have {stop.timeout_s} s to end before they are killed",
        retry_at=stop.sent_at + longest,
    )
