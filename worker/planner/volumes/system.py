"""System directories: how a pod keeps the programs that were installed into it.

In the mode `overlay` a pod's `/usr` is a volume that holds nothing by itself: it mounts the pod's own layer
over a base, a volume that was filled from the image once for all pods. Layer and base are where the data is.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from config.layout import BASES_PATH, LAYERS_VOLUME
from worker.errors import ErrorKind, InvalidInputError
from worker.planner.decision import Plan, fail, go
from worker.planner.steps import PrepareSystem
from worker.pods import naming
from worker.pods.model import SYSTEM, PinnedImage, Record, System, SystemMode, Volume, VolumeClass
from worker.pods.observation import ALIVE, Observation

LAYERS: Final = LAYERS_VOLUME[0]


def plan_preparation(record: Record, seen: Observation, image: PinnedImage, mode: SystemMode) -> Plan | None:
    """Return how to decide on a new pod's system directories, or how to repair its base; None if not due."""
    system = record.state.system
    if system is None:
        try:
            wanted = _adopted(seen) or System(mode=_for_new(seen, mode), image=image)
        except InvalidInputError as error:
            return fail(ErrorKind.FOREIGN_OBJECT, str(error))
        undecided = not record.state.layout and wanted.mode is not SystemMode.OFF
        return go(PrepareSystem(wanted)) if undecided else None
    if system.image.id != image.id and not _is_committed(record, seen):
        return go(PrepareSystem(System(mode=mode, image=image)))
    container = seen.container
    if container is not None and container.state in ALIVE:
        return None
    return go(PrepareSystem(system)) if _missing_bases(system, seen) else None


def is_overlay(system: System | None, volume: Volume) -> bool:
    """Whether a volume only mounts what others hold."""
    overlaid = system is not None and system.mode is SystemMode.OVERLAY
    return overlaid and volume.volume_class is VolumeClass.SYSTEM and volume.name != LAYERS


def overlay_options(record: Record, seen: Observation, volume: Volume) -> dict[str, str]:
    """Return the options of the volume that mounts a pod's layer over its base, for Docker's driver `local`.

    Raises ValueError if base or layer are missing from what was seen.
    """
    system = record.state.system
    base = seen.bases.get(naming.base_volume(system.base or "", volume.path)) if system is not None else None
    layers = seen.volumes.get(naming.volume_name(record.pod_id, LAYERS))
    if base is None or layers is None:
        raise ValueError(f"pod {record.pod_id}: no overlay for {volume.path} without its base and layer")
    return overlay_over(base.mountpoint, layers.mountpoint, volume.path)


def overlay_over(lower: str, layers: str, directory: str) -> dict[str, str]:
    """Return such options; `layers` holds the folders that `worker.docker.request.LAYERS_IMAGE` has."""
    layer = f"{layers}/{naming.system_volume(directory)}"
    # Without an index the kernel accepts a base that was filled again from the same image.
    words = f"lowerdir={lower},upperdir={layer}/upper,workdir={layer}/work,index=off"
    return {"type": "overlay", "device": "overlay", "o": words}


def base_mounts(system: System | None) -> Iterator[tuple[str, str]]:
    """Yield volume and path of each base that a pod's container holds on to."""
    if system is not None and system.base is not None:
        for directory in system.directories:
            yield naming.base_volume(system.base, directory), f"{BASES_PATH}{directory}"


def system_label(system: System) -> str:
    """Return what a label says of it: all but the base, which may be another one tomorrow."""
    return SYSTEM.dump_json(system.evolve(base=None)).decode()


def labelled_system(labels: Mapping[str, str]) -> System | None:
    """Return what `system_label` wrote, None if there is none.

    Raises InvalidInputError for what it did not write.
    """
    return naming.read_label(labels, naming.LABEL_SYSTEM, SYSTEM, "how system directories are kept")


def _adopted(seen: Observation) -> System | None:
    """Return how the volumes of a pod whose record is lost were kept."""
    found = (labelled_system(volume.labels) for volume in seen.volumes.values())
    return next(filter(None, found), None)


def _is_committed(record: Record, seen: Observation) -> bool:
    """Whether the pod's system directories hold what is its own: before that they are its image's."""
    ran = record.state.starts > 0 or (seen.container is not None and seen.container.has_run)
    system = (volume for volume in record.state.layout if volume.volume_class is VolumeClass.SYSTEM)
    return ran or record.state.initialised or any(volume.filled for volume in system)


def _missing_bases(system: System, seen: Observation) -> bool:
    return any(name not in seen.bases for name, _ in base_mounts(system))


def _for_new(seen: Observation, mode: SystemMode) -> SystemMode:
    """Return `mode`, or what comes nearest to it for a pod that has volumes or a container already."""
    is_new = seen.container is None and not seen.volumes
    return SystemMode.OVERLAY if mode is SystemMode.POOL and not is_new else mode
