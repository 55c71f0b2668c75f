"""What is found in a container outside the volumes of its pod, and what has to be copied."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self


class Standing(StrEnum):
    """What is at a path in a container."""

    DIRECTORY = "directory"
    OTHER = "other"
    """A file, a link, a device: nothing that a volume could replace."""
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look into a container found."""

    container_id: str
    """Empty for a look at the volumes of a pod that has no container."""
    places: tuple[str, ...] = ()
    """Where it looked, besides the paths directly below `/`."""
    found: Mapping[str, Standing]
    """What was changed directly below `/` or is at a place, by path; without what is as in the image."""
    system: tuple[str, ...] = ()
    """The real system directories that are on no volume, if one of them was changed: they belong together."""
    ended: bool = False
    """Whether the container had ended before the look: then nothing is written any more."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the directories that are to be kept need, and what there is."""

    paths: tuple[str, ...]
    needed_bytes: int
    free_bytes: int | None
    """None if the Engine's disk cannot be seen."""
    most_bytes: int
    """How much a slow disk copies within the deadline of a fill."""
    where: str
    """The Engine's data root."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Bytes by path, if all together may not fit."""
    keeps_holes: bool = False
    """Whether a sparse file takes as much room in the copy as it does now, rather than its whole length."""
    init_is_hidden: bool = False
    """Whether a volume would hide the Engine's init, and the init cannot be found on its host."""

    def fits(self, floor_bytes: int) -> bool:
        """Whether it can be copied in time, and `floor_bytes` are free afterwards."""
        roomy = self.free_bytes is None or self.needed_bytes + floor_bytes <= self.free_bytes
        return roomy and self.needed_bytes <= self.most_bytes

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with `changes`."""
        return replace(self, **changes)
