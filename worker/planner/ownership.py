"""Ours or not: only what has a pod's exact name, and our labels or none, is touched."""

from worker.pods import naming
from worker.pods.model import Installation, Record
from worker.pods.observation import ObservedContainer, ObservedVolume


def container_problem(pod_id: str, container: ObservedContainer, installation: Installation) -> str | None:
    """Return why the container under the pod's name is foreign, None if it is ours."""
    owner = container.labels.get(naming.LABEL_INSTALLATION)
    if container.pod_id == pod_id and owner == installation.name:
        return None
    whose = f"belongs to installation {owner!r}" if owner else f"has no label {naming.LABEL_POD}={pod_id}"
    return (
        f"container {container.name} ({container.id[:12]}) exists and {whose}: it is not ours. "
        "Rename or remove it, or create the pod with adopt=true if it mounts this pod's volumes"
    )


def is_adoptable(record: Record, container: ObservedContainer) -> bool:
    """Whether the owner asked to replace this foreign container and it mounts the pod's own volumes only."""
    prefix = naming.volume_name(record.pod_id, "")
    mounted = [name for name in container.volumes.values() if name.startswith(naming.VOLUME_PREFIX)]
    ours = naming.LABEL_INSTALLATION not in container.labels
    return record.intent.adopt and ours and bool(mounted) and all(n.startswith(prefix) for n in mounted)


def volume_problem(pod_id: str, volume: ObservedVolume, installation: Installation) -> str | None:
    """Return why the volume under one of the pod's exact names is foreign, None if it is the pod's.

    One without labels of ours is the pod's: an older system made it, or a person who restored it.
    """
    owner, pod = (volume.labels.get(key) for key in (naming.LABEL_INSTALLATION, naming.LABEL_POD))
    if owner in (None, installation.name) and pod in (None, pod_id):
        return None
    return f"volume {volume.name} belongs to pod {pod!r} of installation {owner!r}: it is not touched"
