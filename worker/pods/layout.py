"""The rules of the volume layout, and the volumes that one pod needs."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Final

from config.layout import LAYERS_VOLUME, NEVER_PERSISTED, SYSTEM_DIRECTORIES, UNIVERSAL_VOLUMES
from worker.pods import naming
from worker.pods.model import PodState, Record, System, SystemMode, Volume, VolumeClass
from worker.pods.observation import ObservedVolume

_DECLARED_PREFIX: Final = "declared."
_LONGEST_DECLARED: Final = 150
"""Characters. A volume is a folder of its name, 255 at most; prefix and pod id take up to 77."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9]")


def validate_table(table: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError where a layout table could mix up pods or hold what must not persist.

    Pod ids may hold dashes, so `a` with volume `x-y` and `a-x` with volume `y` would share a name: no
    volume name may be a dash-separated tail of another.
    """
    names = [name for name, _ in table]
    paths = [path for _, path in table]
    for name in names:
        if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) is None:
            raise ValueError(f"layout: volume name {name!r} is not lower-case letters, digits and dashes")
        tails = [other for other in names if name.endswith(f"-{other}")]
        if tails or names.count(name) > 1:
            raise ValueError(f"layout: volume name {name!r} could be {tails or name!r} of another pod")
    for path in paths:
        if path == "/" or path != normal_path(path) or is_never_persisted(path):
            raise ValueError(f"layout: {path!r} is virtual, temporary, '/' or not a plain absolute path")
        if paths.count(path) > 1:
            raise ValueError(f"layout: {path!r} is mounted twice")


def universal_layout() -> dict[str, tuple[str, VolumeClass]]:
    """Return mount path to volume name and class, for what every pod has."""
    return {path: (name, VolumeClass.UNIVERSAL) for name, path in UNIVERSAL_VOLUMES}


def wanted_layout(
    image_volumes: Iterable[str], system: System | None = None
) -> dict[str, tuple[str, VolumeClass]]:
    """Return mount path to volume name and class: the universal, the image's VOLUME paths, the system's.

    A VOLUME path without a mount of ours would get an anonymous volume, which dies with the container.
    """
    wanted = universal_layout()
    for path in map(normal_path, image_volumes):
        if path not in wanted and not is_never_persisted(path):
            wanted[path] = (declared_name(path), VolumeClass.DECLARED)
    return system_layout(system) | wanted if system is not None else wanted


def system_layout(system: System) -> dict[str, tuple[str, VolumeClass]]:
    """Return mount path to volume name and class; first what the overlays need."""
    if not system.directories or system.mode is SystemMode.OFF:
        return {}
    name, path = LAYERS_VOLUME
    layers = {path: (name, VolumeClass.SYSTEM)} if system.mode is SystemMode.OVERLAY else {}
    return layers | {path: (naming.system_volume(path), VolumeClass.SYSTEM) for path in system.directories}


def temporary_mounts(image_volumes: Iterable[str]) -> tuple[str, ...]:
    """Return where a tmpfs goes: `/run`, and VOLUME paths that never persist (else: anonymous volumes)."""
    below = {path for path in map(normal_path, image_volumes) if is_never_persisted(path)}
    return tuple(sorted({"/run", *(path for path in below if path not in ("/proc", "/sys", "/dev"))}))


def declared_name(path: str) -> str:
    """Return the volume name for a VOLUME path: unlike for unlike paths, and without any dash.

    Slashes become dots and every other character that is not a letter or digit `_` and its code in hex.
    A name that would grow too long becomes a digest.
    """
    encoded = "".join(
        "."
        if char == "/"
        else char
        if _PLAIN.fullmatch(char)
        else "".join(f"_{b:02x}" for b in char.encode())
        for char in path.strip("/")
    )
    if len(encoded) > _LONGEST_DECLARED:
        encoded = f"_{sha256(path.encode()).hexdigest()}"
    return f"{_DECLARED_PREFIX}{encoded}"


def normal_path(path: str) -> str:
    """Return `path` absolute and without `.`, `..` and doubled slashes, as the Engine mounts it."""
    return posixpath.normpath(posixpath.join("/", path.lstrip("/")))


def is_never_persisted(path: str) -> bool:
    return any(path == root or path.startswith(f"{root}/") for root in NEVER_PERSISTED)


def full_names(pod_id: str, state: PodState) -> frozenset[str]:
    """Return the full names of all volumes that a pod has, or would have, as far as its record tells."""
    known = {name for name, _ in UNIVERSAL_VOLUMES} | {volume.name for volume in state.layout}
    return frozenset(naming.volume_name(pod_id, name) for name in known)


def begun_layout(
    record: Record, existing: Mapping[str, ObservedVolume], *, incarnation: str
) -> tuple[Volume, ...]:
    """Return the layout as it is once `incarnation` has begun.

    Filled volumes stay as they are, and so does every other volume that is there under its exact name: an
    older system made it, or a record was lost, and its data is the owner's. The rest is to be made.
    """
    kept = tuple(volume for volume in record.state.layout if volume.filled)
    have = {volume.path for volume in kept}
    image_volumes = record.image.volumes if record.image is not None else ()
    added = []
    for path, (name, volume_class) in wanted_layout(image_volumes, record.state.system).items():
        if path not in have:
            found = existing.get(naming.volume_name(record.pod_id, name))
            added.append(
                Volume(
                    name=name,
                    path=path,
                    volume_class=volume_class,
                    incarnation=incarnation if found is None else found.incarnation,
                    filled=found is not None,
                )
            )
    return kept + tuple(added)


def kept_layout(layout: tuple[Volume, ...], paths: Iterable[str], *, incarnation: str) -> tuple[Volume, ...]:
    """Return the layout with volumes for directories that the owner made, as it is once these have begun."""
    have = {volume.path for volume in layout}
    added = tuple(
        Volume(
            name=declared_name(path),
            path=path,
            volume_class=VolumeClass.DECLARED,
            incarnation=incarnation,
            filled=False,
        )
        for path in paths
        if path not in have
    )
    return layout + added


validate_table((*UNIVERSAL_VOLUMES, *((naming.system_volume(path), path) for path in SYSTEM_DIRECTORIES)))
validate_table(((LAYERS_VOLUME[0], "/anywhere"), *UNIVERSAL_VOLUMES))
