"""Whether a pod's data is where it should be. A pod never starts on an empty or replaced volume."""

from collections.abc import Iterable

from worker.planner.decision import Plan, go
from worker.planner.steps import NoteRestored
from worker.planner.volumes.pointers import is_pointer, is_replaced
from worker.planner.volumes.pooled.subvolume import is_pooled, subvolume_problem
from worker.pods import naming
from worker.pods.model import IntentKind, Record, Volume
from worker.pods.observation import Observation, ObservedVolume


def host_storage_problem(host: str, known: str | None, found: str | None, installation: str) -> str | None:
    """Return why the storage under the Engine is not the one that holds the host's pods, None if it is.

    `known` is the identity noted in the store; before there is one, nothing is wrong.
    """
    if known is None or known == found:
        return None
    name = naming.storage_name(installation)
    what = f"volume {name} is missing" if found is None else f"volume {name} is that of storage {found}"
    return (
        f"host {host} does not have its storage ({known}): {what}. Nothing is made or removed there. Check "
        "that the disk of the Engine's data root is mounted, and that DOCKER_HOST names the Engine that the "
        "pods were made on; restart the Engine, then all goes on by itself. Only where the disk is the right "
        f"one and lost that volume, or there is no such disk any more, send hosts.accept_storage({host!r}): "
        "pods whose volumes are not there stay storage_missing"
    )


def storage_problem(record: Record, seen: Observation, volumes: Iterable[Volume]) -> str | None:
    """Return what is wrong with the first of `volumes` that is missing or replaced, None if all are there.

    The data of a pod on a pool is in its subvolume: that is looked at first.
    """
    volumes = tuple(volumes)
    problem = subvolume_problem(record, seen) if volumes and is_pooled(record.state.system) else None
    if problem is not None:
        return problem
    for volume in volumes:
        name = naming.volume_name(record.pod_id, volume.name)
        found = seen.volumes.get(name)
        if is_pointer(record.state.system, volume):
            if found is not None and is_replaced(found):
                return _plain_problem(volume, name)
            continue  # it holds nothing, and is made again
        problem = _volume_problem(record, volume, found)
        if problem is not None:
            return problem
    return None


def _plain_problem(volume: Volume, name: str) -> str:
    return (
        f"volume {name} ({volume.path}) was replaced by one that holds files itself instead of showing the "
        "pod's own: it is neither used nor removed, as somebody may have restored something "
        f"into it. Take out what is needed, then `docker volume rm {name}`: the right one is made by itself"
    )


def unasked_volume(seen: Observation) -> str | None:
    """Return the name of a volume that the Engine made in place of a missing one, None if there is none."""
    return next((volume.name for volume in seen.volumes.values() if volume.unasked is not None), None)


def plan_restored(record: Record, seen: Observation) -> Plan | None:
    """Return how to note which volumes hold their data again, None if there is nothing to note.

    A person says so by a restart by force, after the volume was seen to be missing; an owner who merely
    starts the pod does not know of it. One that is lost again has to be restored again.
    """
    intent, state = record.intent, record.state
    asked = (
        intent.kind is IntentKind.RUNNING and intent.force and state.settled_generation < intent.generation
    )
    said = asked and state.missing_generation < intent.generation
    marks: list[tuple[str, str | None]] = []
    for volume in state.layout:
        found = seen.volumes.get(naming.volume_name(record.pod_id, volume.name))
        if found is None and volume.restored is not None:
            marks.append((volume.path, None))
        elif said and found is not None and found.restored not in (None, volume.restored):
            marks.append((volume.path, found.restored))
    return go(NoteRestored(tuple(marks))) if marks else None


def _volume_problem(record: Record, volume: Volume, found: ObservedVolume | None) -> str | None:
    named = f"volume {naming.volume_name(record.pod_id, volume.name)} ({volume.path})"
    if found is None:
        return f"{named} is missing: {_remedy(record, volume)}"
    if found.unasked is not None:
        return (
            f"{named} is missing, an empty one stands in its place: remove that one, "
            f"then {_remedy(record, volume)}"
        )
    if found.incarnation != volume.incarnation:
        return (
            f"{named} was replaced: it has {naming.LABEL_INCARNATION}={found.incarnation} instead of "
            f"{volume.incarnation}: take it away, then {_remedy(record, volume)}"
        )
    if found.restored not in (None, volume.restored):
        return f"{named} is being restored: {_word(record)}"
    return None


def _remedy(record: Record, volume: Volume) -> str:
    name = naming.volume_name(record.pod_id, volume.name)
    labels = {naming.LABEL_POD: record.pod_id, naming.LABEL_VOLUME: volume.name}
    if volume.incarnation is not None:
        labels[naming.LABEL_INCARNATION] = volume.incarnation
    labels[naming.LABEL_RESTORED] = str(record.intent.generation)
    words = " ".join(f"--label {key}={value}" for key, value in labels.items())
    return (
        f"mount the disk that holds it, or restore it into `docker volume create {words} {name}`; "
        f"{_word(record)}"
    )


def _word(record: Record) -> str:
    return f"when its data is in it, send pods.restart({record.pod_id!r}, force=true): it starts no sooner"
