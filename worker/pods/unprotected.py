"""What of a container's own root no volume holds: it is lost with the container."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from worker.pods.layout import is_never_persisted

ENGINES_OWN: Final = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
"""Docker writes these anew for each container, over whatever is in the volume at `/etc`."""
_MADE_BY_THE_ENGINE: Final = ("/.dockerenv", "/sbin/docker-init", "/usr/sbin/docker-init")
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


def new_at_the_top(changes: Iterable[Change], mounted: Collection[str]) -> list[str]:
    """Return what was made directly below `/`, has something in it, and is on no volume.

    An empty one may be the Engine's, made for a working directory: another image may have a full one there.
    """
    added = [change for change in changes if change.kind is ChangeKind.ADDED]
    full = {parent for change in added for parent in _parents(change.path)}
    return [path for path in _highest(added, mounted) if path.count("/") == 1 and path in full]


def _highest(changes: Iterable[Change], mounted: Collection[str]) -> list[str]:
    """Return the highest of the paths that are on no volume.

    A directory that was merely changed below is not among them, only what was changed in it.
    """
    own = {change.path: change.kind for change in changes if not _is_held(change.path, mounted)}
    shells = {parent for path in (*mounted, *_MADE_BY_THE_ENGINE) for parent in _parents(path)}
    parents = {parent for path in own for parent in _parents(path)}
    whole = {path for path, kind in own.items() if kind is not ChangeKind.MODIFIED} - shells
    return [
        path
        for path in sorted(own.keys() - shells)
        if (path in whole or path not in parents) and whole.isdisjoint(_parents(path))
    ]


def _is_held(path: str, mounted: Collection[str]) -> bool:
    if is_never_persisted(path) or path in _MADE_BY_THE_ENGINE:
        return True
    return path in mounted or any(parent in mounted for parent in _parents(path))


def _parents(path: str) -> list[str]:
    parts = path.strip("/").split("/")[:-1]
    return [f"/{'/'.join(parts[: length + 1])}" for length in range(len(parts))]
