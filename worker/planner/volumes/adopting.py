"""The plan for a foreign container that a pod replaces: the part that comes before everything else."""

from worker.planner.backoff import FAILED_DELAY_S
from worker.planner.decision import Plan, give_up, go
from worker.planner.ownership import container_problem
from worker.planner.steps import FindFolders, PrepareSystem
from worker.planner.volumes.kept import has_system, keeping, places
from worker.planner.volumes.replacing import look_of
from worker.pods.model import Installation, Record, System, SystemMode
from worker.pods.observation import Observation


def plan_adoption(record: Record, seen: Observation, own: Installation, now: float) -> Plan | None:
    """Return what has to be known of a foreign container before anything is made for the pod.

    A pod whose older container has changed programs gets whole copies of them: a layer over a base that its
    image shares could not begin with what the container has.
    """
    container, image, system = seen.container, record.image, record.state.system
    if container is None or image is None or record.state.layout:
        return None
    if container_problem(record.pod_id, container, own) is None:
        return None
    find = FindFolders(container.id, places(record, seen, container))
    look = look_of(seen, find)
    if look is None:
        return go(find)
    kept = keeping(record, seen, container, look)
    if kept.problem is not None:
        return give_up(kept.problem, until=now + FAILED_DELAY_S)
    mode = system.mode if system is not None else own.system_volumes
    if has_system(look) and mode is SystemMode.OVERLAY:
        return go(PrepareSystem(System(mode=SystemMode.COPY, image=image)))
    return None
