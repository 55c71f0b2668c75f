"""What of a container's own root no volume holds: it is lost with the container."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from worker.pods.layout import is_never_persisted

ENGINES_OWN: Final = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""Docker writes these again for each container, over whatever is in the volume at `/etc`."""
MADE_BY_THE_ENGINE: Final = ("/.dockerenv", "/sbin/docker-init", "/usr/sbin/docker-init")
LONGEST_LIST: Final = 100


class ChangeKind(IntEnum):
    """As the Engine counts them."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True)
class Change:
    """A path that is otherwise in a container than in its image."""

    path: str
    kind: ChangeKind


def unprotected_paths(changes: Iterable[Change], mounted: Collection[str]) -> list[str]:
    """Return what would be missing after a loss of the container: the highest paths, 100 at most."""
    return [*ENGINES_OWN, *_highest(changes, mounted)][:LONGEST_LIST]


def _highest(changes: Iterable[Change], mounted: Collection[str]) -> list[str]:
    """Return the highest of the paths that are on no volume.

    A directory that was merely changed below is not among them, only what was changed in it.
    """
    own = {change.path: change.kind for change in changes if not is_held(change.path, mounted)}
    shells = {parent for path in (*mounted, *MADE_BY_THE_ENGINE) for parent in parents(path)}
    above = {parent for path in own for parent in parents(path)}
    whole = {path for path, kind in own.items() if kind is not ChangeKind.MODIFIED} - shells
    return [
        path
        for path in sorted(own.keys() - shells)
        if (path in whole or path not in above) and whole.isdisjoint(parents(path))
    ]


def is_held(path: str, mounted: Collection[str]) -> bool:
    """Whether a path is on one of the mounts, never persists, or is the Engine's."""
    if is_never_persisted(path) or path in MADE_BY_THE_ENGINE:
        return True
    return path in mounted or any(parent in mounted for parent in parents(path))


def parents(path: str) -> list[str]:
    """Return the directories above a path, the highest first, without `/`."""
    parts = path.strip("/").split("/")[:-1]
    return [f"/{'/'.join(parts[: length + 1])}" for length in range(len(parts))]
