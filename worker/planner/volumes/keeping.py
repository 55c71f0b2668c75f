"""A container for a pod that rests without one: what no container holds on to, a prune removes.

It is made as for a start and never started here. What keeps it from being made leaves the pod at rest.
"""

from worker.planner.backoff import FAILED_DELAY_S, is_due
from worker.planner.decision import Plan, go, rest
from worker.planner.steps import CreateContainer, ReadVolumes, RemoveContainer
from worker.planner.volumes.fit import plan_look
from worker.planner.volumes.pointers import plan_pointers
from worker.planner.volumes.pooled.renewal import open_volumes
from worker.planner.volumes.storage import unasked_volume
from worker.planner.volumes.system import plan_preparation
from worker.pods.layout import missing_volumes
from worker.pods.model import Installation, IntentKind, Phase, Record
from worker.pods.observation import ContainerState, Observation


def plan_keeping(
    record: Record, seen: Observation, now: float, installation: Installation, resting: Plan
) -> Plan:
    """Return how a pod that rests gets a container, `resting` if it has one or cannot have one now.

    Its volumes are all there: that was looked at before.
    """
    if seen.container is not None:
        made = seen.container.state is ContainerState.CREATED and not seen.volumes_current
        # Creating a container makes a missing volume silently (protocol 4).
        return go(ReadVolumes()) if made else resting
    if not _is_whole(record, seen) or record.state.settled_generation < record.intent.generation:
        return resting
    if record.image is not None and record.image.id in seen.gone_images:
        text = (
            "a prune would remove its volumes: no container holds them, as its image is gone from this host"
        )
        return rest(resting.phase, text, retry_at=now + FAILED_DELAY_S, kind=resting.kind)
    if not is_due(record.state.retry_at, now, longest=FAILED_DELAY_S):
        return rest(resting.phase, record.state.reason, retry_at=record.state.retry_at, kind=resting.kind)
    looked = plan_look(record, seen, record.image) if record.image is not None else None
    if looked is not None and not looked.steps:
        return rest(resting.phase, looked.reason, retry_at=now + FAILED_DELAY_S, kind=resting.kind)
    base = looked or _base_first(record, seen, installation)
    return base or plan_pointers(record, seen) or go(CreateContainer())


def plan_unkept(seen: Observation, problem: str) -> Plan:
    """Return what follows for a pod that rests and whose volume is missing.

    A container that was never started is removed if the Engine made a volume for it: that volume could not be
    removed otherwise.
    """
    container = seen.container
    if (
        container is not None
        and container.state is ContainerState.CREATED
        and unasked_volume(seen) is not None
    ):
        return go(RemoveContainer(container.id), phase=Phase.STORAGE_MISSING)
    return rest(Phase.STORAGE_MISSING, problem)


def rests_without(record: Record) -> bool:
    """Whether a pod is as it should be, except that its container cannot be made again."""
    settled = record.state.settled_generation == record.intent.generation
    return settled and record.intent.kind is IntentKind.STOPPED


def _is_whole(record: Record, seen: Observation) -> bool:
    """Whether its container can be made of what is recorded, without any further volume."""
    if record.intent.spec is None or record.image is None or not record.state.initialised:
        return False
    if open_volumes(record, seen):
        # What of them the image would fill anew is found out when the pod is started.
        return False
    whole = record.state.whole_for == record.image.id
    return whole or not missing_volumes(record, record.state.layout, None)


def _base_first(record: Record, seen: Observation, installation: Installation) -> Plan | None:
    if record.state.system is None or record.image is None:
        return None
    return plan_preparation(record, seen, record.image, installation.system_volumes)
