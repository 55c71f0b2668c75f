"""What `btrfs` prints about subvolumes."""

import re
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

UUID_OF: Final = """
uuid_of() { btrfs subvolume show "$1" 2> /dev/null | sed -n 's/^[[:space:]]*UUID:[[:space:]]*//p'; }
"""
"""A shell function: prints the UUID of what is at a path, nothing for what is no subvolume."""
_LISTED: Final = re.compile(
    r"ID (?P<number>\d+) gen \d+ top level \d+ uuid (?P<uuid>[0-9a-f-]{36}) path (?P<path>.+)"
)


@dataclass(frozen=True, kw_only=True)
class Subvolume:
    """One subvolume."""

    uuid: str
    read_only: bool


def parse_listed(printed: str) -> dict[str, tuple[int, str]]:
    """Return what `btrfs subvolume list -o -u` printed: path to number and UUID. Raises PoolCommandError.

    With `-o` it leaves out what is in other subvolumes, whose names their owners choose.
    """
    found = {}
    for line in filter(None, printed.splitlines()):
        match = _LISTED.fullmatch(line)
        if match is None:
            raise PoolCommandError(f"pool: `btrfs subvolume list` printed what cannot be read: {line!r:.200}")
        found[match["path"]] = (int(match["number"]), match["uuid"])
    return found


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
