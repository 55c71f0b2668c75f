"""Whether a pod's volumes fit an image: known before anything is changed for it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from config.layout import NEVER_PERSISTED
from worker.errors import ErrorKind
from worker.planner.container import is_of_present_spec
from worker.planner.decision import Plan, fail, go
from worker.planner.steps import LookAtImage
from worker.planner.volumes.mounts import place_of
from worker.planner.volumes.storage import storage_problem
from worker.pods.layout import (
    declared_place,
    held_paths,
    is_never_persisted,
    looked_paths,
    missing_volumes,
)
from worker.pods.model import PinnedImage, Record, SystemMode, VolumeClass
from worker.pods.observation import Observation
from worker.pods.shape import ImageShape, Kind, next_look

_ALWAYS_THERE: Final = ("/bin", "/sbin", "/lib")
"""System directories that every distribution has, as directories or as links into `/usr`."""


def gone_for_good(image: PinnedImage, role: str = "") -> str:
    """Say that a pinned image cannot come back by itself; `role` says what it was to the pod."""
    return (
        f"image {image.reference} ({image.id}){role} is gone from this host and has no repository digest to "
        "pull: bring the very same one back (docker load of what docker save wrote)"
    )


def plan_look(record: Record, seen: Observation, image: PinnedImage) -> Plan | None:
    """Return that the image has to be looked at, or why it does not fit; None if a container may be made.

    A pod whose data is missing waits for that first.
    """
    if storage_problem(record, seen, [volume for volume in record.state.layout if volume.filled]) is not None:
        return None
    shape = seen.shapes.get(image.id)
    paths = looked_paths(record, image)
    if shape is None or next_look(shape, paths) is not None:
        return go(LookAtImage(image, paths))
    problem = shape_problem(record, image, shape)
    return None if problem is None else fail(ErrorKind.IMAGE_UNFIT, problem)


def is_made(record: Record, seen: Observation, image: PinnedImage) -> bool:
    """Whether the container that is there is the one asked for, on all volumes that its image wants."""
    container = seen.container
    if container is None or not is_of_present_spec(record, container):
        return False
    return record.state.whole_for == image.id or not missing_volumes(record, record.state.layout, None)


def shape_problem(record: Record, image: PinnedImage, shape: ImageShape) -> str | None:
    """Return why this pod cannot run on an image of that shape, None if it can.

    What was decided when the pod began stays allowed with the image that it began with.
    """
    problems = [
        *_system_problems(record, image, shape),
        *_place_problems(record, image, shape),
        *_relative_problems(record, image),
    ]
    if not problems:
        return None
    return f"image {image.reference} does not fit pod {record.pod_id}: {'; '.join(problems)}"


def _system_problems(record: Record, image: PinnedImage, shape: ImageShape) -> Iterator[str]:
    """Yield what is wrong if the pod's own programs would be mounted over another image."""
    system = record.state.system
    committed = any(v.filled and v.volume_class is VolumeClass.SYSTEM for v in record.state.layout)
    if system is None or system.mode is SystemMode.OFF or system.image.id == image.id or not committed:
        return
    allowed = f"allowed: an image of the same shape, such as {system.image.reference}, or a new pod"
    kinds = {path: shape.kind(path) for path in (*system.directories, *_ALWAYS_THERE)}
    gone = [path for path in system.directories if kinds[path] not in (Kind.DIRECTORY, Kind.MISSING)]
    if gone:
        yield (
            f"{', '.join(gone)}: directories in the pod's system volumes, and links in the image; {allowed}"
        )
    new = [p for p, kind in kinds.items() if kind is Kind.DIRECTORY and p not in system.directories]
    if new:
        yield (
            f"{', '.join(new)}: directories in the image, and in the pod, whose programs stay its own, links "
            f"or nothing; {allowed}"
        )


def _relative_problems(record: Record, image: PinnedImage) -> Iterator[str]:
    """Yield what is wrong with VOLUME paths that no mount of ours can replace."""
    relative = [path for path in image.volumes if not path.startswith("/")]
    begun = any(volume.filled for volume in record.state.layout) and not _is_another_image(record, image)
    if relative and not begun:
        yield (
            f"VOLUME {', '.join(relative)}: a relative path gets a volume without a name from the Engine, "
            "whose data is lost with the container; right would be an absolute path"
        )


def _place_problems(record: Record, image: PinnedImage, shape: ImageShape) -> Iterator[str]:
    """Yield what is wrong with the places of the volumes that the pod has, and of those that it would get."""
    layout = record.state.layout
    moved = _is_another_image(record, image)
    filled = [volume for volume in layout if volume.filled]
    held = held_paths(filled, image.id)
    new = {path: declared_place(path, shape, held) for path in missing_volumes(record, filled, shape)}
    old = {
        volume.path: place_of(volume, filled, image, shape)
        for volume in filled
        if volume.volume_class is not VolumeClass.SYSTEM
    }
    shared: defaultdict[str, list[str]] = defaultdict(list)
    for path, place in {**old, **new}.items():
        problem = _place_problem(path, place, shape, strict=path in new or moved)
        if problem is not None:
            yield problem
        elif place is not None and path in old and moved:
            shared[place].append(path)
    for place, paths in shared.items():
        if len(paths) > 1:
            yield (
                f"{' and '.join(paths)} are volumes of the pod, and lead to one place ({place}) in the "
                "image; right would be a place for each"
            )


def _place_problem(path: str, place: str | None, shape: ImageShape, *, strict: bool) -> str | None:
    if place is None:
        return f"{path} is a link that leads back to itself; right would be a directory"
    if place == "/":
        return f"{path} leads to /, which cannot be a volume; right would be a directory"
    if shape.kind(place) is Kind.FILE:
        return f"{path} is a file ({place}); right would be a directory"
    if strict and path != place and is_never_persisted(place):
        return (
            f"{path} leads to {place}, where nothing is kept; right would be a directory, or a link to a "
            f"place outside {' '.join(NEVER_PERSISTED)}"
        )
    return None


def _is_another_image(record: Record, image: PinnedImage) -> bool:
    """Whether the pod's volumes were decided on for another image, according to the record."""
    system, state = record.state.system, record.state
    known = {volume.image for volume in state.layout if volume.filled and volume.image is not None}
    if system is not None:
        known.add(system.image.id)
    if known:
        return image.id not in known
    return state.image is not None and state.image.id != image.id
