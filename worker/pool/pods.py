"""Pods on a pool: each is a subvolume that began as a snapshot of a template, in a group with its limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.errors import ForeignObjectError, UpdateRefusedError
from worker.pool.errors import PoolCommandError, PoolMissingError
from worker.pool.groups import EVERYTHING, SHOW_GROUPS, Group, limit_word, own_group, parse_groups, reserve
from worker.pool.pool import PODS, Pool
from worker.pool.subvolumes import UUID_OF, parse_listed

_ABSENT: Final = "absent"
_OTHER: Final = "other"
_BEGIN: Final = f"""
cd /pool
making="pods/$1"
[ "$(btrfs property get -ts "templates/$2" ro 2> /dev/null)" = ro=true ] || {{ echo {_ABSENT}; exit 0; }}
[ ! -e "$making" ] || btrfs subvolume delete --commit-after "$making" > /dev/null
btrfs subvolume snapshot "templates/$2" "$making" > /dev/null
id=$(btrfs inspect-internal rootid "$making")
btrfs qgroup create "1/$id" .
btrfs qgroup assign --no-rescan "0/$id" "1/$id" .
btrfs qgroup assign --no-rescan "1/$id" {EVERYTHING} .
btrfs qgroup limit "$3" "1/$id" .
btrfs filesystem sync .
{UUID_OF}
uuid_of "$making"
"""
"""A snapshot of this name is what the same script left that was run twice: nobody has written to it."""
_NAME: Final = f"""
cd {PODS}
{UUID_OF}
if [ ! -e "$2" ] && [ ! -L "$2" ]; then
    [ "$(uuid_of "$1")" = "$3" ] || {{ echo {_ABSENT}; exit 0; }}
    mv --no-copy -nT "$1" "$2"
    btrfs filesystem sync .
fi
[ "$(uuid_of "$2")" = "$3" ] || echo {_OTHER}
"""
_LIST: Final = f"""
btrfs filesystem sync /pool
{SHOW_GROUPS}
echo
btrfs subvolume list -o -u /pool
"""
_LOOK: Final = f"""
cd {PODS}
stat -f -c '%a %b %S' .
{UUID_OF}
for each in "$1" ".$1."*; do
    if [ -e "$each" ] || [ -L "$each" ]; then echo "$each $(uuid_of "$each")"; fi
done
"""
_ADD: Final = f"""
cd {PODS}
{UUID_OF}
[ "$(uuid_of "$1")" = "$2" ] || {{ echo {_OTHER}; exit 0; }}
[ -z "$3" ] || mkdir -p "./$1/$3"
"""
"""Without a third argument it only looks whose it is."""
_REMOVE_WITHIN: Final = """
cd /pool
rm -rf -- "./$1"
"""
_SYNC: Final = "btrfs filesystem sync /pool"
_GROUP: Final = f"""
btrfs qgroup destroy "$1" /pool 2> /dev/null || true
btrfs qgroup create "$1" /pool
btrfs qgroup assign --no-rescan "$2" "$1" /pool
btrfs qgroup assign --no-rescan "$1" {EVERYTHING} /pool
"""
"""One of that name that is empty goes first, as it may be in the group of all already; another one stays."""
_LIMIT: Final = """
btrfs qgroup limit "$2" "$1" /pool
btrfs filesystem sync /pool
"""
_REMOVE: Final = f"""
cd {PODS}
{UUID_OF}
[ -e "$1" ] || [ -L "$1" ] || exit 0
[ "$(uuid_of "$1")" = "$2" ] || {{ echo {_OTHER}; exit 0; }}
[ -z "$3" ] || btrfs qgroup limit none "$3" /pool
btrfs subvolume delete --recursive --commit-after "$1" > /dev/null
"""
"""In a full pod nothing can be written, not even what its removal needs: so its limit goes first. Subvolumes
that its owner made in it go with it."""
_SWEEP: Final = """
for group in "$@"; do btrfs qgroup destroy "$group" /pool || echo "$group"; done
"""
"""While the kernel still frees what a removed pod had, its group cannot go; the next sweep finds it again."""


@dataclass(frozen=True, kw_only=True)
class PodSubvolume:
    """What a pod has on a pool."""

    uuid: str
    """Of the subvolume: its incarnation. Another one of the same name is another pod's data."""
    group: str | None
    """None if it has lost its group: then nothing limits it."""
    number: int
    used: int = 0
    """Bytes, of all volumes together and what snapshots of them keep."""
    limit: int | None = None
    """Bytes."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What is on a pool."""

    pods: Mapping[str, PodSubvolume]
    """By pod id."""
    begun: Mapping[str, PodSubvolume]
    """By the name that `begun_name` gives: these have not become pods, and may be under way."""
    empty_groups: frozenset[str]
    """Groups of pods that are gone."""
    templates: frozenset[str] = frozenset()
    """By name; also what attempts have left."""


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What a pool has for one pod."""

    free_bytes: int
    """What pods may still write, all together."""
    uuids: Mapping[str, str]
    """By name; what is no subvolume has an empty one."""


class PodSubvolumes:
    """Makes, finds, limits and removes the subvolumes of pods. Each method is one command on the pool.

    All raise as `Pool.run` does.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def begin(self, pod_id: str, incarnation: str, template: str, *, limit: int | None) -> str | None:
        """Make a pod's subvolume under a name of its own; return its UUID, which is on the disk.

        Returns None if there is no such template. `limit` is in bytes. It gets the pod's name by `finish`,
        once its UUID is noted.
        """
        name = begun_name(pod_id, incarnation)
        printed = await self._pool.run("pod: begin", _BEGIN, name, template, limit_word(limit))
        uuid = printed.strip()
        if uuid == _ABSENT:
            return None
        if not uuid:
            raise PoolCommandError(f"pod {pod_id}: its subvolume has no UUID")
        return uuid

    async def finish(self, pod_id: str, incarnation: str, uuid: str) -> None:
        """Give a subvolume that was begun the pod's name, if it does not have it already.

        Raises PoolMissingError if neither is there, and ForeignObjectError if another one has the name.
        """
        said = await self._pool.run("pod: finish", _NAME, begun_name(pod_id, incarnation), pod_id, uuid)
        if _ABSENT in said:
            raise PoolMissingError(
                f"pod {pod_id}: its subvolume {uuid} is not in {self._pool.path}/pods. Nothing is made in "
                "its place"
            )
        if _OTHER in said:
            raise self._foreign(pod_id)

    async def list(self) -> Listed:
        """Return all that is there, as of now: it is written to the disk first."""
        printed = await self._pool.run("pool: list", _LIST)
        groups, _, listed = printed.lstrip("\n").partition("\n")
        return listing(parse_groups(groups), parse_listed(listed))

    async def look(self, pod_id: str) -> Looked:
        """Return what has a pod's name, what was begun for it, and how much room there is."""
        printed = await self._pool.run("pod: look", _LOOK, pod_id)
        room, *found = printed.splitlines()
        free, every, size = map(int, room.split())
        return Looked(
            free_bytes=max(0, free * size - reserve(every * size)),
            uuids={name: uuid for name, _, uuid in (line.partition(" ") for line in found)},
        )

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """Make a directory right in a pod's subvolume, where its owner sees none, unless it is there.

        Raises ForeignObjectError if another subvolume has the pod's name.
        """
        said = await self._pool.run("pod: directory", _ADD, pod_id, uuid, name)
        if _OTHER in said:
            raise self._foreign(pod_id)

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """Remove such a directory with all that is in it; links in there lead nowhere.

        Raises as `add_directory`.
        """
        await self.add_directory(pod_id, uuid, "")
        await self._pool.run_within("pod: remove directory", _REMOVE_WITHIN, name, below=f"/pods/{pod_id}")

    async def sync(self) -> None:
        """Return once everything is on the disk."""
        await self._pool.run("pool: sync", _SYNC)

    async def set_limit(self, pod_id: str, pod: PodSubvolume, limit: int | None) -> None:
        """Change how much a pod may use, in bytes, while it runs; one that lost its group gets another.

        `pod` is as `list` has just found it. Raises UpdateRefusedError if it uses more already.
        """
        if limit is not None and pod.used > limit:
            raise UpdateRefusedError(
                f"pod {pod_id} uses {pod.used} bytes, more than the {limit} bytes of its new tier; allowed: "
                "a larger one, or this one once its owner has removed something"
            )
        group = pod.group
        if group is None:
            group = f"1/{pod.number}"
            await self._pool.run("pod: group", _GROUP, group, own_group(pod.number))
        await self._pool.run("pod: limit", _LIMIT, group, limit_word(limit))

    async def remove(self, pod_id: str, pod: PodSubvolume) -> None:
        """Remove a pod's subvolume for good, if it is there; what it had is free a little later.

        Raises ForeignObjectError if another subvolume has the pod's name: that stays.
        """
        await self._remove(pod_id, pod_id, pod)

    async def roll_back(self, pod_id: str, incarnation: str, pod: PodSubvolume) -> None:
        """Remove what was begun and never got the pod's name."""
        await self._remove(pod_id, begun_name(pod_id, incarnation), pod)

    async def sweep(self, listed: Listed) -> frozenset[str]:
        """Remove groups of pods that are gone; return those that could not go yet."""
        if not listed.empty_groups:
            return frozenset()
        printed = await self._pool.run("pool: sweep", _SWEEP, *sorted(listed.empty_groups))
        return frozenset(printed.split())

    async def _remove(self, pod_id: str, name: str, pod: PodSubvolume) -> None:
        said = await self._pool.run("pod: remove", _REMOVE, name, pod.uuid, pod.group or "")
        if _OTHER in said:
            raise self._foreign(pod_id)

    def _foreign(self, pod_id: str) -> ForeignObjectError:
        return ForeignObjectError(
            f"pod {pod_id}: {self._pool.path}/pods/{pod_id} is another subvolume, or none, and stays; "
            "right would be to move it away"
        )


def begun_name(pod_id: str, incarnation: str) -> str:
    """Return the name of a pod's subvolume until it is noted; no pod's id has a dot in it."""
    return f".{pod_id}.{incarnation}"


def parse_begun(name: str) -> tuple[str, str] | None:
    """Return pod id and incarnation of what `begun_name` named, None for any other name."""
    _, dot, rest = name.partition(".")
    pod_id, _, incarnation = rest.partition(".")
    return (pod_id, incarnation) if name.startswith(".") and dot and incarnation else None


def listing(groups: Mapping[str, Group], subvolumes: Mapping[str, tuple[int, str]]) -> Listed:
    """Return what is there, by the pool's groups, and by its subvolumes' paths, numbers and UUIDs."""
    found = {
        path.removeprefix("pods/"): _pod(groups, number, uuid)
        for path, (number, uuid) in subvolumes.items()
        if path.startswith("pods/")
    }
    empty = (name for name, group in groups.items() if name.startswith("1/") and not group.members)
    return Listed(
        pods={name: pod for name, pod in found.items() if not name.startswith(".")},
        begun={name: pod for name, pod in found.items() if name.startswith(".")},
        empty_groups=frozenset(empty),
        templates=frozenset(
            path.removeprefix("templates/") for path in subvolumes if path.startswith("templates/")
        ),
    )


def _pod(groups: Mapping[str, Group], number: int, uuid: str) -> PodSubvolume:
    own = groups.get(own_group(number))
    # A pod that was restored keeps the group of the subvolume that it began with.
    name = next((parent for parent in own.parents if parent.startswith("1/")), None) if own else None
    group = groups.get(name) if name is not None else None
    if group is None:
        return PodSubvolume(uuid=uuid, number=number, group=None, used=0 if own is None else own.used)
    return PodSubvolume(uuid=uuid, number=number, group=name, used=group.used, limit=group.limit)
