"""Volumes that hold nothing: they show what other volumes hold, or what is in the pod's subvolume on a pool.

Nothing is lost with one. It is made again when it is gone, or when it leads elsewhere than it should.
"""

from worker.planner.decision import Plan, go
from worker.planner.steps import CreateVolume, RemoveContainer, RemoveVolume, Step
from worker.planner.volumes.pooled.directories import bound_options
from worker.planner.volumes.pooled.subvolume import is_pooled
from worker.planner.volumes.system import is_overlay, overlay_options
from worker.pods import naming
from worker.pods.model import Record, System, Volume
from worker.pods.observation import ALIVE, Observation, ObservedVolume


def is_pointer(system: System | None, volume: Volume) -> bool:
    """Whether a volume holds nothing by itself."""
    return is_pooled(system) or is_overlay(system, volume)


def volume_options(record: Record, seen: Observation, volume: Volume) -> dict[str, str]:
    """Return the options with which a volume is made, for Docker's driver `local`.

    Raises ValueError if what it shows is missing from what was seen.
    """
    if is_pooled(record.state.system):
        return bound_options(record, seen, volume)
    return overlay_options(record, seen, volume) if is_overlay(record.state.system, volume) else {}


def plan_pointers(record: Record, seen: Observation) -> Plan | None:
    """Return how to make the pointers again that are gone or lead elsewhere, None if all are right.

    They lead elsewhere when a base, the data root or the pool has moved.
    """
    container = seen.container
    if container is not None and container.state in ALIVE:
        return None
    missing, wrong = [], []
    for volume in filter(lambda each: is_pointer(record.state.system, each), record.state.layout):
        found = seen.volumes.get(naming.volume_name(record.pod_id, volume.name))
        if found is None and volume.filled:
            missing.append(volume)
        elif found is not None and found.options != volume_options(record, seen, volume):
            wrong.append(volume)
    if not missing and not wrong:
        return None
    steps: list[Step] = [RemoveContainer(container.id)] if container is not None and wrong else []
    steps += [RemoveVolume(naming.volume_name(record.pod_id, volume.name)) for volume in wrong]
    return go(*steps, *(CreateVolume(volume) for volume in (*missing, *wrong) if volume.filled))


def is_replaced(found: ObservedVolume) -> bool:
    """Whether a volume that holds files is there instead of a pointer: somebody may have restored them."""
    return not found.options and found.unasked is None
