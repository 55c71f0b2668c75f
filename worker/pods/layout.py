"""The rules of the volume layout, and the volumes that one pod needs."""

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final

from config.layout import LAYERS_VOLUME, NEVER_PERSISTED, SYSTEM_DIRECTORIES, UNIVERSAL_VOLUMES
from worker.pods import naming
from worker.pods.model import PinnedImage, PodState, Record, System, SystemMode, Volume, VolumeClass
from worker.pods.observation import ObservedVolume
from worker.pods.shape import ROOT, RUN, ImageShape

_DECLARED_PREFIX: Final = "declared."
_LONGEST_DECLARED: Final = 150
"""Characters. A volume is a folder of its name, 255 at most; prefix and pod id take up to 77."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9]")


def validate_table(table: Iterable[tuple[str, str]]) -> None:
    """Raise ValueError if a layout table could mix up pods or contain what must not persist.

    Pod ids may contain dashes, so `a` with volume `x-y` and `a-x` with volume `y` would share a name: no
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
    image_volumes: Iterable[str],
    system: System | None = None,
    shape: ImageShape | None = None,
    held: Collection[str] = (),
) -> dict[str, tuple[str, VolumeClass]]:
    """Return path to volume name and class: the universal, the image's VOLUME paths, the system's.

    A VOLUME path without a mount of ours would get an anonymous volume, which is lost with the container. If
    links of the image lead several paths to one place, the first path has the volume, and the others none.
    """
    shape = shape or ImageShape()
    wanted = system_layout(system) if system is not None else {}
    places: set[str | None] = set(wanted)
    for path, entry in universal_layout().items():
        place = shape.place(path, held)
        if place not in places:
            wanted[path] = entry
            places.add(place)
    for path in map(normal_path, (*_other_roots(system, shape), *image_volumes)):
        place = declared_place(path, shape, held)
        if place not in places and not is_never_persisted(place or path):
            wanted[path] = (declared_name(path), VolumeClass.DECLARED)
            places.add(place)
    return wanted


def missing_volumes(
    record: Record, having: Iterable[Volume], shape: ImageShape | None
) -> dict[str, tuple[str, VolumeClass]]:
    """Return the volumes that the pod's image asks for and `having` lacks: path to name and class."""
    image, having = record.image, tuple(having)
    shape = shape or ImageShape()
    held = held_paths(having, image.id if image is not None else None)
    have = {shape.place(volume.path, held) for volume in having}
    wanted = wanted_layout(image.volumes if image is not None else (), record.state.system, shape, held)
    return {path: entry for path, entry in wanted.items() if declared_place(path, shape, held) not in have}


def held_paths(layout: Iterable[Volume], image_id: str | None) -> frozenset[str]:
    """Return the paths below which the links of an image do not count: its volume has other content."""
    return frozenset(volume.path for volume in layout if volume.image != image_id)


def declared_place(path: str, shape: ImageShape, held: Collection[str]) -> str | None:
    """Return where a VOLUME path leads; one that the image's links lead to a temporary place stays so."""
    place = shape.place(path)
    return place if place is not None and is_never_persisted(place) else shape.place(path, held)


def looked_paths(record: Record, image: PinnedImage) -> tuple[str, ...]:
    """Return the paths whose place in an image has to be known before a container is made of it."""
    own = (volume.path for volume in record.state.layout)
    roots = (ROOT,) if _keeps_roots(record.state.system) else ()
    return image_paths(image) + tuple(path for path in own if not is_never_persisted(path)) + roots


def _keeps_roots(system: System | None) -> bool:
    """Whether every directory that the image has directly below `/` gets a volume."""
    return system is not None and system.mode is SystemMode.POOL


def _other_roots(system: System | None, shape: ImageShape) -> Iterator[str]:
    if _keeps_roots(system):
        universal = universal_layout()
        for path in shape.roots or ():
            if path not in SYSTEM_DIRECTORIES and path not in universal:
                yield path


def image_paths(image: PinnedImage) -> tuple[str, ...]:
    """Return the paths whose place matters for every pod of an image."""
    return (
        RUN,
        *(path for _, path in UNIVERSAL_VOLUMES),
        *SYSTEM_DIRECTORIES,
        *map(normal_path, image.volumes),
    )


def system_layout(system: System) -> dict[str, tuple[str, VolumeClass]]:
    """Return mount path to volume name and class; first what the overlays need."""
    if not system.directories or system.mode is SystemMode.OFF:
        return {}
    name, path = LAYERS_VOLUME
    layers = {path: (name, VolumeClass.SYSTEM)} if system.mode is SystemMode.OVERLAY else {}
    return layers | {path: (naming.system_volume(path), VolumeClass.SYSTEM) for path in system.directories}


def declared_name(path: str) -> str:
    """Return the volume name for a VOLUME path: different for different paths, and without any dash.

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
    """Return the full names of all volumes that a pod has, or would have, according to its record."""
    known = {name for name, _ in UNIVERSAL_VOLUMES} | {volume.name for volume in state.layout}
    return frozenset(naming.volume_name(pod_id, name) for name in known)


def begun_layout(
    record: Record,
    existing: Mapping[str, ObservedVolume],
    *,
    incarnation: str,
    shape: ImageShape | None = None,
) -> tuple[Volume, ...]:
    """Return the layout as it is once `incarnation` has begun.

    Filled volumes stay as they are, and so does every other volume that is there under its exact name: an
    older system made it, or a record was lost, and its data is the owner's. The rest is to be made, and
    filled by the image of which `shape` was seen.
    """
    kept = tuple(volume for volume in record.state.layout if volume.filled)
    image = record.image.id if record.image is not None else None
    added = []
    for path, (name, volume_class) in missing_volumes(record, kept, shape).items():
        found = existing.get(naming.volume_name(record.pod_id, name))
        added.append(
            Volume(
                name=name,
                path=path,
                volume_class=volume_class,
                incarnation=incarnation if found is None else found.incarnation,
                filled=found is not None,
                image=image if found is None else None,
            )
        )
    return kept + tuple(added)


def restored_layout(layout: tuple[Volume, ...], marks: Mapping[str, str | None]) -> tuple[Volume, ...]:
    """Return the layout with the marks, by path, of volumes that a person made for what was lost."""
    return tuple(volume.evolve(restored=marks.get(volume.path, volume.restored)) for volume in layout)


def kept_layout(
    record: Record, places: Iterable[str], *, container_id: str, incarnation: str, shape: ImageShape | None
) -> tuple[Volume, ...]:
    """Return the layout with volumes for what is kept of a container, as it is once these have begun."""
    kept = tuple(volume for volume in record.state.layout if volume.filled)
    have = {volume.path for volume in kept}
    added = (kept_volume(record, place, shape) for place in places)
    return kept + tuple(
        volume.evolve(incarnation=incarnation, copied_from=container_id)
        for volume in added
        if volume.path not in have
    )


def kept_volume(record: Record, place: str, shape: ImageShape | None) -> Volume:
    """Return the volume for a directory of a container, as it is before it has begun."""
    usual = (place, declared_name(place), VolumeClass.DECLARED)
    path, name, volume_class = new_places(record, shape).get(place, usual)
    return Volume(name=name, path=path, volume_class=volume_class, incarnation=None, filled=False)


def new_places(record: Record, shape: ImageShape | None) -> dict[str, tuple[str, str, VolumeClass]]:
    """Return where the image asks for volumes that the pod does not have: place to path, name and class."""
    filled = [volume for volume in record.state.layout if volume.filled]
    held = held_paths(filled, record.image.id if record.image is not None else None)
    return {
        declared_place(path, shape or ImageShape(), held) or path: (path, name, volume_class)
        for path, (name, volume_class) in missing_volumes(record, filled, shape).items()
    }


validate_table((*UNIVERSAL_VOLUMES, *((naming.system_volume(path), path) for path in SYSTEM_DIRECTORIES)))
validate_table(((LAYERS_VOLUME[0], "/anywhere"), *UNIVERSAL_VOLUMES))
