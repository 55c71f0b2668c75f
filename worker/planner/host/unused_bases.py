"""Which bases no pod uses any more."""

from collections import defaultdict
from collections.abc import Iterable

from worker.planner.steps import RemoveContainer, RemoveVolume
from worker.pods import naming
from worker.pods.model import Record
from worker.pods.observation import ObservedVolume, Snapshot


def unused_bases(
    records: Iterable[Record], seen: Snapshot, installation: str
) -> dict[str, tuple[RemoveContainer | RemoveVolume, ...]]:
    """Return by name what there is to remove of each base that no record and no container refers to.

    Among them are bases whose making was interrupted, and empty volumes in place of lost ones.
    """
    records = tuple(records)
    if any(record.unreadable is not None for record in records):
        return {}  # Which base such a pod uses is not known.
    parts: defaultdict[str, list[RemoveContainer | RemoveVolume]] = defaultdict(list)
    used = {record.state.system.base for record in records if record.state.system is not None}
    mounted: set[str] = set()
    for container in seen.containers.values():
        kept = container.keeps_base
        if kept is None:
            mounted.update(container.volumes.values())
        elif container.labels.get(naming.LABEL_INSTALLATION) == installation:
            parts[kept].append(RemoveContainer(container.id))
    for volume in seen.volumes.values():
        base = _base_of(volume, installation)
        if base is not None:
            parts[base].append(RemoveVolume(volume.name))
            if volume.name in mounted:
                used.add(base)
    return {base: tuple(steps) for base, steps in parts.items() if base not in used}


def _base_of(volume: ObservedVolume, installation: str) -> str | None:
    if volume.unasked is not None and volume.name.startswith(naming.BASE_PREFIX):
        return volume.name
    is_ours = volume.labels.get(naming.LABEL_INSTALLATION) == installation
    return volume.incarnation if is_ours and naming.LABEL_BASE in volume.labels else None
