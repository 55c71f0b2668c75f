"""Groups: how much each pod may use, and all of them together. In btrfs' words, its simple quotas."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from worker.pool.errors import PoolCommandError

EVERYTHING: Final = "2/0"
"""The group above all others: it ends before the filesystem does, which then still takes what we write."""
SHOW_GROUPS: Final = """
btrfs --format json qgroup show --raw -pcre /pool | tr -d ' \\n'
"""
"""Prints one line: what `parse_groups` reads. The names of subvolumes in it lose their spaces."""
_NO_LIMIT: Final = "none"
_RESERVED: Final = 0.05
_MOST_RESERVED: Final = 8 * 2**30


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group, in bytes."""

    used: int
    """By everything in it, as of the filesystem's last commit."""
    limit: int | None
    parents: tuple[str, ...]
    members: tuple[str, ...]


def own_group(subvolume: int) -> str:
    """Return the group that btrfs itself makes for a subvolume."""
    return f"0/{subvolume}"


def limit_word(limit: int | None) -> str:
    """Return a limit in bytes as btrfs takes it."""
    return _NO_LIMIT if limit is None else str(limit)


def most_bytes(free: int, used: int) -> int:
    """Return how much all pods and templates may use together, if they use `used` and `free` is left.

    It is less than that: btrfs needs room for what it notes itself, and has to note all that is removed.
    """
    return free + used - reserve(free + used)


def reserve(room: int) -> int:
    """Return how many of so many bytes pods and templates leave free."""
    return min(int(room * _RESERVED), _MOST_RESERVED)


def parse_groups(printed: str) -> Mapping[str, Group]:
    """Return all groups by their numbers. Raises PoolCommandError."""
    try:
        return {entry["qgroupid"]: _group(entry) for entry in json.loads(printed)["qgroup-show"]}
    except (KeyError, TypeError, ValueError) as error:
        raise PoolCommandError(f"pool: `btrfs qgroup show` printed what cannot be read: {error}") from error


def _group(entry: Mapping[str, Any]) -> Group:
    limit = entry["max_referenced"]
    return Group(
        used=int(entry["referenced"]),
        limit=None if limit == _NO_LIMIT else int(limit),
        parents=tuple(entry["parents"]),
        members=tuple(entry["children"]),
    )
