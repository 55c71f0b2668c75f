"""The plan for a container that is replaced on purpose.

Nothing in its own root is lost: what has to be kept is found, measured and refused before it is stopped,
looked for again when it has ended, and copied into volumes; only then the container is removed.
"""

from collections.abc import Mapping
from functools import partial

from worker.planner.backoff import FAILED_DELAY_S
from worker.planner.decision import Plan, give_up, go
from worker.planner.steps import (
    BeginKeep,
    CommitFill,
    CopyFolder,
    CreateVolume,
    DistrustCopies,
    FindFolders,
    GiveUpCopies,
    MeasureFolders,
    RemoveContainer,
    Step,
    rollback,
)
from worker.planner.stopping import stopping_steps
from worker.planner.volumes.kept import (
    Keeping,
    copied_volumes,
    keeping,
    keeping_nested,
    nested_places,
    places,
    space_problem,
    volume_for,
)
from worker.planner.volumes.pointers import is_pointer
from worker.planner.volumes.pooled.directories import added_directory, removed_directories
from worker.planner.volumes.pooled.renewal import comparison
from worker.pods import naming
from worker.pods.model import Installation, Record, Volume
from worker.pods.observation import Observation, ObservedContainer
from worker.pods.own_root import Look

_MB = 10**6


def plan_replacing(
    record: Record, seen: Observation, container: ObservedContainer, now: float, own: Installation
) -> Plan:
    """Return how to remove a container for another one, or that it stays and why."""
    if not container.has_run and container.pod_id == record.pod_id:
        return go(RemoveContainer(container.id))
    find = FindFolders(container.id, places(record, seen, container))
    look = look_of(seen, find)
    if look is None:
        return go(find)
    kept = keeping(record, seen, container, look)
    wait = _hindrance(record, seen, find, kept, own, until=now + FAILED_DELAY_S)
    if wait is not None:
        return wait
    spec = record.intent.spec
    stop = stopping_steps(container, spec.stop_timeout_s) if spec is not None else []
    # Until it has ended, its programs may make what was not there at the first look.
    if stop or not look.ended:
        return go(*(comparison(record, seen) or (*stop, find)))
    begun = [volume for volume in record.state.layout if volume.copied_from == container.id]
    names = {volume_for(_before_copies(record, container), seen, path).name: path for path in kept.paths}
    if begun and {volume.name for volume in begun} != names.keys():
        return go(*give_up_copies(record, seen, container))
    return _copies(record, container.id, begun, names) or go(RemoveContainer(container.id))


def _before_copies(record: Record, container: ObservedContainer) -> Record:
    """Return the record as it was when the volumes of the copies were named."""
    left = tuple(volume for volume in record.state.layout if volume.copied_from != container.id)
    return record.evolve(state=record.state.evolve(layout=left))


def plan_nested(record: Record, seen: Observation, now: float, own: Installation) -> Plan | None:
    """Return how new volumes below the pod's own begin with what is there, None if nothing is.

    There is no container to look into: only the volumes have anything.
    """
    find = FindFolders("", nested_places(record, seen))
    if not find.at:
        return None
    if seen.container is not None:
        return go(RemoveContainer(seen.container.id))
    look = look_of(seen, find)
    if look is None:
        return go(find)
    kept = keeping_nested(record, seen, look)
    wait = _hindrance(record, seen, find, kept, own, until=now + FAILED_DELAY_S)
    begun = [v for v in record.state.layout if not v.filled and v.copied_from is not None]
    names = {volume_for(record, seen, path).name: path for path in kept.paths}
    return wait or _copies(record, "", begun, names)


def look_of(seen: Observation, find: FindFolders) -> Look | None:
    """Return what was found there, None if nobody looked."""
    look = seen.look
    fits = look is not None and look.container_id == find.container_id and set(find.at) <= set(look.places)
    return look if fits else None


def _copies(record: Record, container_id: str, begun: list[Volume], names: Mapping[str, str]) -> Plan | None:
    """Return how to copy what is kept into its volumes, given by name; None if that is done."""
    if not begun and names:
        return go(BeginKeep(tuple(names.values()), container_id))
    unfilled = [volume for volume in begun if not volume.filled]
    if not unfilled:
        return None
    steps: list[Step] = []
    for volume in unfilled:
        steps += added_directory(record, volume)
        steps += [CreateVolume(volume), CopyFolder(container_id, names.get(volume.name, volume.path), volume)]
    return go(*steps, CommitFill(tuple(volume.path for volume in unfilled)))


def give_up_copies(record: Record, seen: Observation, container: ObservedContainer) -> list[Step]:
    """Return how to give up the volumes into which a container's directories were to be copied.

    The container still has all that is in them, and nothing was ever started on them.
    """
    begun = copied_volumes(record, container)
    if not begun:
        return []
    made = [(volume, seen.volumes.get(naming.volume_name(record.pod_id, volume.name))) for volume in begun]
    steps = [*removed_directories(record, begun), *rollback(made, partial(is_pointer, record.state.system))]
    # Were they still noted as filled, they would be missing if the container were lost meanwhile.
    if steps and any(volume.filled for volume in begun):
        steps.insert(0, DistrustCopies(container.id))
    return [*steps, GiveUpCopies(container.id)]


def _hindrance(
    record: Record, seen: Observation, find: FindFolders, kept: Keeping, own: Installation, *, until: float
) -> Plan | None:
    """Return why it cannot be kept, or how to find out whether there is room for it."""
    if kept.problem is not None:
        return give_up(kept.problem, until=until)
    measured = seen.measured
    if not kept.paths:
        return None
    if measured is None or not set(kept.paths) <= set(measured.paths):
        return go(MeasureFolders(find.container_id, kept.paths))
    problem = space_problem(record, measured, own.min_free_mb * _MB)
    return None if problem is None else give_up(problem, until=until)
