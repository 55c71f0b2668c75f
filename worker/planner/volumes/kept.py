"""What is kept of a container when another one replaces it on purpose, and what cannot be kept.

    the owner has                                          | then
    -------------------------------------------------------|-----------------------------------------------
    made or changed a directory directly below `/` that is | it gets a volume, with all that is in it now
    on no volume                                           |
    something at a path of a new VOLUME of the image       | that volume begins with it
    a directory on a volume, where there is a new VOLUME   | that volume begins with it: nothing is hidden
    a file or link in `/`, or removed what the image has   | refused, unless it is given up
    a file or link where a new VOLUME is, or above         | refused, unless it is given up
    changed nothing there                                  | it is the next image's

A foreign container that is adopted has mounts of its own: what is on a volume that is not the pod's own for
that path is kept in the same way, and directories of the host are refused.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from config.layout import SYSTEM_DIRECTORIES
from worker.planner.volumes.fit import is_made
from worker.planner.volumes.mounts import volume_places
from worker.planner.volumes.strays import doubled, loose_volumes
from worker.planner.volumes.unprotected import parents
from worker.pods import naming
from worker.pods.layout import is_never_persisted, kept_volume, new_places
from worker.pods.model import Record, Volume, VolumeClass
from worker.pods.observation import Observation, ObservedContainer
from worker.pods.own_root import Look, Measured, Standing
from worker.pods.shape import ImageShape

_MB = 10**6
_LONGEST_LIST = 20
MOST_KEPT = 32
"""Directories of one pod. Each is a volume to examine, to mount at every start, and in every list."""


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """What gets a volume, and why that is impossible, if it is."""

    paths: tuple[str, ...] = ()
    problem: str | None = None


def places(record: Record, seen: Observation, container: ObservedContainer) -> tuple[str, ...]:
    """Return where the next container will have a volume of the pod and this one has none."""
    if record.image is None or is_made(record, seen, record.image):
        return ()
    own = _own_mounts(record, seen, container)
    return tuple(sorted(place for place in _new(record, seen) if place not in own))


def foreign_mounts(record: Record, seen: Observation, container: ObservedContainer) -> tuple[str, ...]:
    """Return the paths of the volumes of a container that are not the pod's own for these paths."""
    own = _own_mounts(record, seen, container)
    return tuple(
        path for path in sorted(container.volumes) if path not in own and not is_never_persisted(path)
    )


def keeping(record: Record, seen: Observation, container: ObservedContainer, look: Look) -> Keeping:
    """Return what of `container` is kept, by what `look` found in it."""
    found = dict(look.found) | dict.fromkeys(foreign_mounts(record, seen, container), Standing.DIRECTORY)
    if container.image_id != (record.image.id if record.image is not None else None):
        # Programs of one image and libraries of another would not go together.
        found |= dict.fromkeys(look.system, Standing.DIRECTORY)
    have = {volume.path for volume in record.state.layout if volume.copied_from != container.id}
    discard = discarded(record)
    open_ones = {
        path: standing
        for path, standing in found.items()
        if path not in have and discard.isdisjoint((path, *parents(path)))
    }
    lost = sorted(path for path, standing in open_ones.items() if standing is not Standing.DIRECTORY)
    kept = sorted(path for path, standing in open_ones.items() if standing is Standing.DIRECTORY)
    problem = (
        _bound(container, discard)
        or _lost(record, open_ones, lost)
        or _too_many(record, container, kept)
        or doubled(loose_volumes(record, seen), kept)
        or _in_the_way(record, seen, container, kept)
    )
    return Keeping(paths=tuple(kept), problem=problem)


def nested_places(record: Record, seen: Observation) -> tuple[str, ...]:
    """Return where new volumes will be below volumes of the pod that are filled, and have not begun yet.

    One that has begun with what is there counts until it is filled; what the image fills has been looked at.
    """
    begun = {v.name for v in record.state.layout if v.filled or v.copied_from is None}
    new = _new(record, seen)
    return tuple(place for place in unfilled_below(record, seen) if new[place][1] not in begun)


def unfilled_below(record: Record, seen: Observation) -> tuple[str, ...]:
    """Return the places of all volumes, begun or not, that will be below filled ones and are not filled."""
    filled = pod_mounts(record, seen).keys()
    return tuple(sorted(place for place in _new(record, seen) if not filled.isdisjoint(parents(place))))


def pod_mounts(record: Record, seen: Observation) -> dict[str, Volume]:
    """Return where the next container will have the volumes that are filled."""
    filled = [volume for volume in record.state.layout if volume.filled]
    if record.image is None:
        return {}
    return volume_places(filled, record.image, _shape(record, seen) or ImageShape())


def keeping_nested(record: Record, seen: Observation, look: Look) -> Keeping:
    """Return what new volumes below the pod's own begin with."""
    new, discard = _new(record, seen), discarded(record)
    found = {
        path: standing
        for path, standing in look.found.items()
        if path in new and discard.isdisjoint((path, *parents(path)))
    }
    lost = sorted(path for path, standing in found.items() if standing is not Standing.DIRECTORY)
    begun = {volume.name for volume in record.state.layout}
    problem = _lost(record, found, lost) or _taken(record, seen, found, begun, "the pod")
    return Keeping(paths=tuple(sorted(found)), problem=problem)


def volume_for(record: Record, seen: Observation, place: str) -> Volume:
    """Return the volume for what is at a place, before it has begun."""
    return kept_volume(record, place, _shape(record, seen))


def space_problem(record: Record, measured: Measured, floor_bytes: int) -> str | None:
    """Return why what has to be kept cannot be copied, None if it can."""
    if measured.init_is_hidden:
        return (
            f"{_listed(measured.paths)} would get a volume, which would hide the Engine's init, and that was "
            "not found on its host: name it by PINACLE_INIT_PATH, or send the spec with init=false"
        )
    if measured.fits(floor_bytes):
        return None
    sizes = sorted(measured.sizes.items(), key=lambda item: -item[1])
    big = ", ".join(f"{path} {_mb(size)}" for path, size in sizes[:_LONGEST_LIST])
    holes = "" if measured.keeps_holes else " (holes of sparse files cannot be kept here, so they count)"
    if measured.needed_bytes > measured.most_bytes:
        there = f"at most {_whole_mb(measured.most_bytes)} are copied within PINACLE_FILL_DEADLINE_S"
    else:
        there = (
            f"{measured.where} has {_whole_mb(measured.free_bytes or 0)} free, of which {_mb(floor_bytes)} "
            "stay (PINACLE_MIN_FREE_MB)"
        )
    return (
        f"what is kept when the container is replaced needs {_mb(measured.needed_bytes)}{holes}: "
        f"{big or _listed(measured.paths)}; {there}. Make it smaller, or make room"
        f"{_or_discard(record, measured.paths)}"
    )


def _new(record: Record, seen: Observation) -> dict[str, tuple[str, str, VolumeClass]]:
    return new_places(record, _shape(record, seen))


def _shape(record: Record, seen: Observation) -> ImageShape | None:
    return None if record.image is None else seen.shapes.get(record.image.id)


def _own_mounts(record: Record, seen: Observation, container: ObservedContainer) -> set[str]:
    """Return where a container mounts what the pod has, or would have, there."""
    if container.pod_id == record.pod_id:
        return set(container.volumes)
    names = {place: name for place, (_, name, _) in _new(record, seen).items()}
    names |= {place: volume.name for place, volume in pod_mounts(record, seen).items()}
    return {
        path
        for path, name in container.volumes.items()
        if path in names and name == naming.volume_name(record.pod_id, names[path])
    }


def discarded(record: Record) -> set[str]:
    """Return what the owner gave up, until the container is there for which it was given up."""
    intent = record.intent
    return set(intent.discard) if record.state.discarded_generation < intent.discard_generation else set()


def _bound(container: ObservedContainer, discard: set[str]) -> str | None:
    bound = [path for path in sorted(container.binds) if discard.isdisjoint((path, *parents(path)))]
    if not bound:
        return None
    return (
        f"container {container.name} mounts directories or files of the host at {_listed(bound)}, which a "
        "pod cannot have: copy them into one of its volumes and make the container again without them"
    )


def _lost(record: Record, found: Mapping[str, Standing], lost: list[str]) -> str | None:
    if not lost:
        return None
    words = [f"{path} ({_why_lost(path, found[path])})" for path in lost[:_LONGEST_LIST]]
    more = f" and {len(lost) - _LONGEST_LIST} more" if len(lost) > _LONGEST_LIST else ""
    remedy = (
        "move them into a directory or remove them, then ask again"
        if record.intent.adopt
        else f"move them into a directory, such as /root{_or_discard(record, lost)}"
    )
    return f"replacing the container would lose what no volume can hold: {', '.join(words)}{more}: {remedy}"


def _why_lost(path: str, standing: Standing) -> str:
    if standing is Standing.NOTHING:
        return "removed, the image has it again"
    return "a file or link in /" if path.count("/") == 1 else "a volume is to be here, and a file or link is"


def _too_many(record: Record, container: ObservedContainer, kept: list[str]) -> str | None:
    """Return why no more directories can be kept; those that have a volume already stay."""
    before = sum(volume.copied_from not in (None, container.id) for volume in record.state.layout)
    if not kept or before + len(kept) <= MOST_KEPT:
        return None
    had = f" besides the {before} that have one" if before else ""
    return (
        f"{len(kept)} directories outside the pod's volumes would each get a volume{had}; allowed: "
        f"{MOST_KEPT} in all. Move them below one directory, such as /root{_or_discard(record, kept)}: "
        f"{_listed(kept)}{', …' if len(kept) > _LONGEST_LIST else ''}"
    )


def _in_the_way(
    record: Record, seen: Observation, container: ObservedContainer, kept: list[str]
) -> str | None:
    """Return what stands where a volume would have to be made, None if nothing does."""
    begun = {volume.name for volume in record.state.layout if volume.copied_from == container.id}
    return _taken(record, seen, kept, begun, f"container {container.name}")


def _taken(
    record: Record, seen: Observation, kept: Iterable[str], begun: Collection[str], holder: str
) -> str | None:
    """Return which volume exists that would have to be made for what `holder` has, None if none does."""
    for path in kept:
        short = volume_for(record, seen, path).name
        name = naming.volume_name(record.pod_id, short)
        if short not in begun and name in seen.volumes:
            return (
                f"{holder} has data at {path} of its own, and volume {name} exists for it: "
                f"remove or rename the one that is not wanted{_or_discard(record, [path])}"
            )
    return None


def _or_discard(record: Record, paths: Iterable[str]) -> str:
    """Say how to give them up, which is impossible in an adoption."""
    words = f", or give up what is there with pods.update(…, discard={list(paths)[:_LONGEST_LIST]})"
    return "" if record.intent.adopt else words


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(list(paths)[:_LONGEST_LIST])


def _whole_mb(size: int) -> str:
    """Return it in MB, rounded down; what is needed is rounded up, so that the numbers never contradict."""
    return f"{size // _MB} MB"


def _mb(size: int) -> str:
    return f"{-(-size // _MB)} MB"


def copied_volumes(record: Record, container: ObservedContainer) -> list[Volume]:
    """Return the volumes that are only copies, or unfinished ones, of what a container still has."""
    return [v for v in record.state.layout if not v.filled or v.copied_from == container.id]


def has_system(look: Look) -> bool:
    """Whether the owner changed a system directory that is on no volume."""
    return any(path in SYSTEM_DIRECTORIES for path in look.found)
