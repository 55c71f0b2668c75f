"""Volumes of a pod that its layout does not have: for example of a folder kept before Redis was lost.

They hold the owner's data. So they become part of the layout when it is begun; never is anything made in
their place or written over them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from worker.pods import naming
from worker.pods.layout import declared_name, is_never_persisted, missing_volumes, normal_path
from worker.pods.model import PinnedImage, Record, Volume, VolumeClass
from worker.pods.observation import Observation, ObservedVolume

_PREFIX: Final = declared_name("/")
_DIGEST: Final = re.compile(r"_[0-9a-f]{64}")
"""Stands for a path that is too long; it could be read as the name of a strange path as well."""
_ENCODED: Final = re.compile(r"(?:_[0-9a-f]{2})+")


def with_strays(
    record: Record, layout: tuple[Volume, ...], existing: Mapping[str, ObservedVolume]
) -> tuple[Volume, ...]:
    """Return a layout that was just begun with every other volume of the pod that is there already."""
    known = {naming.volume_name(record.pod_id, volume.name) for volume in layout}
    found = ((volume, volume_path(volume)) for volume in _own(record.pod_id, existing, known))
    return layout + tuple(
        Volume(
            name=volume.labels[naming.LABEL_VOLUME],
            path=path,
            volume_class=VolumeClass.DECLARED,
            incarnation=volume.incarnation,
            filled=True,
        )
        for volume, path in found
        if path is not None
    )


def stray_problem(record: Record, seen: Observation, image: PinnedImage) -> str | None:
    """Return which of the pod's volumes cannot be mounted where it belongs, None if all can."""
    layout = [volume for volume in record.state.layout if volume.filled]
    wanted = missing_volumes(record, layout, seen.shapes.get(image.id))
    names = {name for name, _ in wanted.values()} | {volume.name for volume in layout}
    taken = {*wanted, *(volume.path for volume in layout)}
    for volume in _own(record.pod_id, seen.volumes, {naming.volume_name(record.pod_id, n) for n in names}):
        path = volume_path(volume)
        if path is None or path in taken:
            where = "nothing tells its path" if path is None else f"another volume is mounted at {path}"
            return (
                f"volume {volume.name} is this pod's, and {where}: copy what it holds into a volume that is "
                f"made with --label {naming.LABEL_PATH}=<its path>, or remove it"
            )
        taken.add(path)
    return None


def loose_volumes(record: Record, seen: Observation) -> dict[str, str]:
    """Return path to name of the volumes that neither the layout has nor the container mounts."""
    known = {naming.volume_name(record.pod_id, volume.name) for volume in record.state.layout}
    mounted = set() if seen.container is None else set(seen.container.volumes.values())
    own = _own(record.pod_id, seen.volumes, known | mounted)
    return {path: volume.name for volume in own if (path := volume_path(volume)) is not None}


def doubled(volumes: Mapping[str, str], folders: Iterable[str]) -> str | None:
    """Return which of `volumes`, by path, stands for what the container has in `folders` as well.

    It is neither written over nor taken for what the container has: that may be newer, or something else.
    """
    for folder in folders:
        for path, name in volumes.items():
            if path == folder or path.startswith(f"{folder}/"):
                return (
                    f"the container has a directory {folder} of its own, and volume {name} holds an earlier "
                    f"{path}: remove that volume, or move what is in it to where it belongs, then send "
                    "pods.restart"
                )
    return None


def volume_path(volume: ObservedVolume) -> str | None:
    """Return where a volume belongs, as its label or else its name says; None if neither does."""
    labelled = volume.labels.get(naming.LABEL_PATH)
    path = labelled or declared_path(volume.labels.get(naming.LABEL_VOLUME, ""))
    if path is None or path == "/" or path != normal_path(path) or is_never_persisted(path):
        return None
    return path


def declared_path(name: str) -> str | None:
    """Return the path that `declared_name` made this name of; None if it made none, or a digest of it."""
    encoded = name.removeprefix(_PREFIX)
    if encoded in (name, "") or _DIGEST.fullmatch(encoded):
        return None
    try:
        path = _ENCODED.sub(
            lambda found: bytes.fromhex(found[0].replace("_", "")).decode(),
            encoded.replace(".", "/"),
        )
    except UnicodeDecodeError:
        return None
    path = f"/{path}"
    return path if declared_name(path) == name else None


def _own(pod_id: str, existing: Mapping[str, ObservedVolume], known: set[str]) -> Iterator[ObservedVolume]:
    """Yield what has the pod's labels and an exact name that follows from them, but is not `known`."""
    for name, volume in existing.items():
        short = volume.labels.get(naming.LABEL_VOLUME)
        labelled = volume.labels.get(naming.LABEL_POD) == pod_id and short is not None
        if labelled and name == naming.volume_name(pod_id, short or "") and name not in known:
            yield volume
