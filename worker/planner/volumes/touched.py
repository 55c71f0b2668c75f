"""Which of the changes in a container's own root concern its replacement.

A *place* is where the next container will have a volume and this one has none. What was changed is accounted
to the deepest place that holds it, else to its directory directly below `/`.
"""

from collections.abc import Collection, Iterable
from enum import IntEnum

from worker.planner.volumes.unprotected import MADE_BY_THE_ENGINE, Change, ChangeKind, is_held, parents


class Touch(IntEnum):
    """How a path was changed; a higher one says more."""

    DELETED = 0
    MODIFIED = 1
    ADDED = 2
    BELOW = 3
    """Something in it was changed, so it is a directory."""


_TOUCHES = {
    ChangeKind.DELETED: Touch.DELETED,
    ChangeKind.MODIFIED: Touch.MODIFIED,
    ChangeKind.ADDED: Touch.ADDED,
}


def touched(changes: Iterable[Change], mounted: Collection[str], places: Collection[str]) -> dict[str, Touch]:
    """Return what was changed, by place or by directory directly below `/`.

    What is on one of the paths `mounted` is safe. Directories that the Engine made for mounts, and those that
    are listed because something in them was changed, count for nothing by themselves.
    """
    listed = [change for change in changes if not is_held(change.path, mounted)]
    shells = {parent for path in (*mounted, *MADE_BY_THE_ENGINE) for parent in parents(path)}
    above = {parent for change in listed for parent in parents(change.path)}
    found: dict[str, Touch] = {}
    for change in listed:
        merely_above = change.kind is ChangeKind.MODIFIED and change.path in above
        if change.path in shells or merely_above:
            continue
        slot = _slot(change.path, places)
        touch = _TOUCHES[change.kind] if slot == change.path else Touch.BELOW
        found[slot] = max(touch, found.get(slot, touch))
    for place in [path for path in found if path in places]:
        # A directory that the owner made is the owner's as a whole, even if everything is in a place below
        # it.
        top = _top(place)
        if found.get(top) is Touch.ADDED and top != place:
            found[top] = Touch.BELOW
    return found


def _slot(path: str, places: Collection[str]) -> str:
    return next((each for each in (path, *reversed(parents(path))) if each in places), _top(path))


def _top(path: str) -> str:
    return "/" + path.split("/")[1]
