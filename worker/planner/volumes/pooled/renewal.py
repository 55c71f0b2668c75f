"""What another image brings to a pod on a pool: its own directories where the owner has changed nothing.

    what is directly below `/`, and        | its owner                | then
    ---------------------------------------|--------------------------|------------------------------------
    is universal, a system directory, or   | may have changed it      | it stays the pod's own
    a VOLUME                               |                          |
    was filled by the image before         | changed nothing in it    | it is the next image's
    was filled by the image before         | changed something        | it stays whole, and is the owner's
    was filled by the image before         | gives it up (`discard`)  | it is the next image's
    came from no image                     | made it                  | it stays the pod's own

What the next image has goes to another directory, and what was there before is removed once that is noted.
"""

import posixpath

from worker.planner.decision import Plan, go
from worker.planner.steps import (
    CompareDirectories,
    RemoveContainer,
    RemoveDirectory,
    RenewDirectories,
    Step,
    removals,
)
from worker.planner.volumes.kept import discarded
from worker.planner.volumes.pooled.directories import directory_name
from worker.planner.volumes.pooled.subvolume import is_first, is_pooled
from worker.pods import naming
from worker.pods.model import Record, Volume, VolumeClass
from worker.pods.observation import ImageDirectory, Observation


def open_volumes(record: Record, seen: Observation) -> tuple[Volume, ...]:
    """Return the volumes of which the next image may have other content, if their owner did not change it.

    What a second container of the pod mounts stays until that is gone.
    """
    image, system = record.image, record.state.system
    if image is None or system is None or not is_pooled(system) or is_first(record):
        return ()
    declared = {*image.volumes, *system.image.volumes}
    held = {name for each in seen.others for name in each.volumes.values()}
    return tuple(
        volume
        for volume in record.state.layout
        if volume.filled
        and volume.volume_class is VolumeClass.DECLARED
        and posixpath.dirname(volume.path) == "/"
        and volume.path not in declared
        and volume.image not in (None, image.id)
        and naming.volume_name(record.pod_id, volume.name) not in held
    )


def comparison(record: Record, seen: Observation, *, ended: bool = False) -> list[Step]:
    """Return how to find out what the owner did not change, nothing if that is known.

    The first time this may take long, so it is done while the pod runs; what counts is what is found once it
    has ended.
    """
    given_up = discarded(record)
    unsure = tuple(volume for volume in open_volumes(record, seen) if volume.path not in given_up)
    known = seen.compared
    if known is not None and {each.name for each in unsure} <= known.names and (known.ended or not ended):
        return []
    return [CompareDirectories(unsure)] if unsure else []


def plan_renewal(record: Record, seen: Observation) -> Plan | None:
    """Return how volumes are given up that another image fills anew, None if there are none.

    Their content stays until the record says that they are outdated.
    """
    volumes = open_volumes(record, seen)
    if not volumes:
        return None
    if seen.container is not None:
        # It was never started.
        return go(RemoveContainer(seen.container.id))
    compare = comparison(record, seen, ended=True)
    if compare:
        return go(*compare)
    unchanged, given_up = seen.compared.unchanged if seen.compared is not None else (), discarded(record)
    renewed = tuple(v for v in volumes if v.name in unchanged or v.path in given_up)
    kept = tuple(volume for volume in volumes if volume not in renewed)
    names = (naming.volume_name(record.pod_id, volume.name) for volume in renewed)
    pointers = (seen.volumes[name] for name in names if name in seen.volumes)
    return go(*removals(pointers), RenewDirectories(renewed=renewed, kept=kept))


def outdated_directories(record: Record) -> list[Step]:
    """Return how to remove what another image's has replaced: no container mounts it any more."""
    return [RemoveDirectory(volume) for volume in record.state.outdated]


def image_directory(record: Record, volume: Volume) -> ImageDirectory:
    """Return where a volume's content is, and in the image that filled it."""
    below = f"{volume.path}/"
    hidden = (v.path.removeprefix(below) for v in record.state.layout if v.path.startswith(below))
    return ImageDirectory(name=directory_name(record, volume), path=volume.path, hidden=tuple(sorted(hidden)))
