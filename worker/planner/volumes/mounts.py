"""Where a container mounts what: each volume at its real place, whatever links the image has.

The Engine mounts by the number of a path's parts, and iterates over a map: mounts whose paths have as many
parts come in another order each time. If one is over a link, one hides the other. So nothing is mounted over
a link, with one exception: the Engine gives a VOLUME path of the image an anonymous volume unless exactly
this path is a mount of ours. Such a path mounts again what is at its real place, and everything that is
mounted below that: whichever comes last, the same volume is on top.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from config.layout import LAYERS_VOLUME, UNIVERSAL_VOLUMES
from worker.pods.layout import declared_name, declared_place, held_paths, is_never_persisted, normal_path
from worker.pods.model import PinnedImage, Volume, VolumeClass
from worker.pods.shape import RUN, Folder, ImageShape

_VIRTUAL: Final = ("/proc", "/sys", "/dev")
_MOST_FOLDERS: Final = 100
"""Of `/run`; each is a mount of its own."""


@dataclass(frozen=True, kw_only=True)
class Temporary:
    """A directory that exists at each start, and is empty."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, kw_only=True)
class Mounts:
    """Mount path to volume, and what is temporary."""

    volumes: Mapping[str, Volume]
    temporary: tuple[Temporary, ...]


def mount_points(layout: Iterable[Volume], image: PinnedImage, shape: ImageShape) -> Mounts:
    """Return what a container of `image` mounts where."""
    layout = tuple(layout)
    own = held_paths(layout, image.id)
    declared = {
        path: declared_place(path, shape, own) or path
        for path in map(normal_path, image.volumes)
        if path not in _VIRTUAL
    }
    held: dict[str, Volume | Temporary] = dict(volume_places(layout, image, shape))
    for each in _temporary(declared.values(), shape):
        if not _is_in_volume(each.path, held):
            held.setdefault(each.path, each)
    found = dict(held)
    for path, place in declared.items():
        for other, what in held.items():
            if other == place or other.startswith(f"{place}/"):
                found.setdefault(f"{path}{other.removeprefix(place)}", what)
    return Mounts(
        volumes={path: what for path, what in found.items() if isinstance(what, Volume)},
        temporary=tuple(
            Temporary(path=path, mode=what.mode, uid=what.uid, gid=what.gid)
            for path, what in sorted(found.items())
            if isinstance(what, Temporary)
        ),
    )


def volume_places(layout: Iterable[Volume], image: PinnedImage, shape: ImageShape) -> dict[str, Volume]:
    """Return real place to volume.

    If two are at one place, the one that is meant for it is mounted: a pod that is older than this rule may
    have two. One whose place cannot be found stays at its own path.
    """
    layout = tuple(layout)
    places = {volume.name: place_of(volume, layout, image, shape) or volume.path for volume in layout}
    meant = {place for volume in layout if (place := places[volume.name]) == volume.path}
    found: dict[str, Volume] = {}
    for volume in layout:
        place = places[volume.name]
        if place == volume.path or place not in meant:
            found.setdefault(place, volume)
    return found


def place_of(volume: Volume, layout: Iterable[Volume], image: PinnedImage, shape: ImageShape) -> str | None:
    """Return where a volume of the layout is mounted with `image`, None if a link leads nowhere."""
    if volume.volume_class is VolumeClass.SYSTEM:
        return volume.path
    return shape.place(volume.path, held_paths(layout, image.id))


def recorded_paths(targets: Mapping[str, str]) -> dict[str, str]:
    """Return volume to the path under which a record has it, from mount path to volume's short name.

    The Engine reports where something is mounted, which is another place if the image has links.
    """
    universal = dict(UNIVERSAL_VOLUMES)
    found: dict[str, str] = {}
    for path, name in targets.items():
        if name in universal:
            found[name] = universal[name]
        elif declared_name(path) == name or name not in found:
            found[name] = path
    return found


def _temporary(places: Iterable[str], shape: ImageShape) -> Iterator[Temporary]:
    run = shape.place(RUN) or RUN
    folders = {folder.path: folder for folder in shape.run or ()}
    first = folders.get(run, Folder(path=run, mode=0o755, uid=0, gid=0))
    declared = (
        folders.get(place, Folder(path=place, mode=0o755, uid=0, gid=0))
        for place in filter(is_never_persisted, places)
    )
    # Each of them, even those that an Engine would make as parents of others: gVisor makes those with another
    # mode.
    inner = sorted((each for each in folders.values() if each.path != run), key=_depth)
    for folder in (first, *inner[:_MOST_FOLDERS], *declared):
        yield Temporary(path=folder.path, mode=folder.mode, uid=folder.uid, gid=folder.gid)


def _depth(folder: Folder) -> int:
    return folder.path.count("/")


def _is_in_volume(path: str, held: Mapping[str, Volume | Temporary]) -> bool:
    """Whether a volume at or above has what belongs there; the layers are no place of the pod's."""
    return any(
        isinstance(what, Volume)
        and what.name != LAYERS_VOLUME[0]
        and is_never_persisted(place)
        and (path == place or path.startswith(f"{place}/"))
        for place, what in held.items()
    )
