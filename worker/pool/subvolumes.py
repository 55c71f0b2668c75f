"""What `btrfs` prints about subvolumes."""

from dataclasses import dataclass
from typing import Final

from worker.pool.errors import PoolCommandError

ABSENT: Final = "absent"
SHOW: Final = """
show() {
    if [ -e "$1" ] || [ -L "$1" ]; then btrfs subvolume show "$1"; else echo absent; fi
}
"""
"""A shell function: what `parse_shown` reads."""


@dataclass(frozen=True, kw_only=True)
class Subvolume:
    """One subvolume."""

    uuid: str
    read_only: bool


def parse_shown(printed: str) -> Subvolume | None:
    """Return what `show` printed, None if there is nothing. Raises PoolCommandError."""
    if printed.strip() == ABSENT:
        return None
    said = {
        key.strip(): value.strip()
        for key, separator, value in (line.partition(":") for line in printed.splitlines())
        if separator
    }
    try:
        return Subvolume(
            uuid=said["UUID"],
            read_only="readonly" in said["Flags"].split(),
        )
    except KeyError as error:
        raise PoolCommandError(f"pool: `btrfs subvolume show` printed no {error}: {printed!r}") from error
