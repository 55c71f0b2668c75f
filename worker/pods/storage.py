"""Whether a pod's data is where it should be. A pod never starts on an empty or replaced volume."""

from collections.abc import Iterable

from worker.pods import naming
from worker.pods.model import Record, Volume
from worker.pods.observation import Observation, ObservedVolume
from worker.pods.system import is_overlay, is_replaced


def host_storage_problem(host: str, known: str | None, found: str | None, installation: str) -> str | None:
    """Return why the storage under the Engine is not the one that holds the host's pods, None if it is.

    `known` is the identity noted in the store; before there is one, nothing is amiss.
    """
    if known is None or known == found:
        return None
    name = naming.storage_name(installation)
    what = f"volume {name} is missing" if found is None else f"volume {name} is that of storage {found}"
    return (
        f"host {host} does not have its storage ({known}): {what}. Nothing is made or removed there. Check "
        "that the disk of the Engine's data root is mounted and restart the Engine; after a deliberate "
        f"change send the task hosts.accept_storage({host!r})"
    )


def storage_problem(record: Record, seen: Observation, volumes: Iterable[Volume]) -> str | None:
    """Return what is wrong with the first of `volumes` that is missing or replaced, None if all are there."""
    for volume in volumes:
        name = naming.volume_name(record.pod_id, volume.name)
        found = seen.volumes.get(name)
        if is_overlay(record.state.system, volume) and (found is None or not is_replaced(found)):
            continue  # it holds nothing, and is made anew
        problem = _volume_problem(record.pod_id, volume, name, found)
        if problem is not None:
            return problem
    return None


def unasked_volume(seen: Observation) -> str | None:
    """Return the name of a volume that the Engine made in place of a missing one, None if there is none."""
    return next((volume.name for volume in seen.volumes.values() if volume.unasked is not None), None)


def _volume_problem(pod_id: str, volume: Volume, name: str, found: ObservedVolume | None) -> str | None:
    if found is None:
        return f"volume {name} ({volume.path}) is missing: {_remedy(pod_id, volume, name)}"
    if found.unasked is not None:
        return (
            f"volume {name} ({volume.path}) is missing, an empty one stands in its place: remove that one, "
            "then " + _remedy(pod_id, volume, name)
        )
    if found.incarnation != volume.incarnation:
        return (
            f"volume {name} ({volume.path}) was replaced: it bears {naming.LABEL_INCARNATION}="
            f"{found.incarnation} instead of {volume.incarnation}: {_remedy(pod_id, volume, name)}"
        )
    return None


def _remedy(pod_id: str, volume: Volume, name: str) -> str:
    labels = {naming.LABEL_POD: pod_id, naming.LABEL_VOLUME: volume.name}
    if volume.incarnation is not None:
        labels[naming.LABEL_INCARNATION] = volume.incarnation
    words = " ".join(f"--label {key}={value}" for key, value in labels.items())
    return f"mount the disk that holds it, or restore it into `docker volume create {words} {name}`"
