"""Where in a pod's subvolume its volumes are."""

from collections.abc import Iterable

from worker.planner.steps import AddDirectory, RemoveDirectory, Step
from worker.pods.model import Record, Volume
from worker.pods.observation import Observation


def directory_name(record: Record, volume: Volume) -> str:
    """Return the name of a volume's directory in its pod's subvolume.

    That of a later volume is never used again: what is in it was put there by one creation.
    """
    return f"{volume.name}.{volume.incarnation}" if _is_later(record, volume) else volume.name


def added_directory(record: Record, volume: Volume) -> list[Step]:
    """Return how a later volume of a pod on a pool gets its place; the first ones have theirs."""
    return [AddDirectory(volume)] if _is_later(record, volume) else []


def removed_directories(record: Record, begun: Iterable[Volume]) -> list[Step]:
    """Return how to remove the places of later volumes on which nothing was ever started."""
    return [RemoveDirectory(volume) for volume in begun if _is_later(record, volume)]


def _is_later(record: Record, volume: Volume) -> bool:
    known = record.state.subvolume
    return known is not None and volume.incarnation not in (None, known.incarnation)


def bound_options(record: Record, seen: Observation, volume: Volume) -> dict[str, str]:
    """Return the options of a volume that points into a pod's subvolume, for Docker's driver `local`.

    Raises ValueError if the subvolume is missing from what was seen.
    """
    found = seen.pool.subvolume if seen.pool is not None else None
    if found is None:
        raise ValueError(f"pod {record.pod_id}: no volume for {volume.path} without its subvolume")
    return {"type": "none", "o": "bind", "device": f"{found.path}/{directory_name(record, volume)}"}
