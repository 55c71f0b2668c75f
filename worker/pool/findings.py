"""What was found where a pool should be, and whether it can be one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from worker.pool.errors import NO_RIGHTS, PoolMissingError, PoolReadOnlyError, PoolUnfitError

PLACE: Final = "/pool"
"""Where the helper sees the pool."""
_SUBVOLUME_INODE: Final = 256
"""The inode number of the root of each btrfs subvolume; no other directory on btrfs has it."""
_COMPRESSED: Final = ("compress=", "compress-force=")
ENCRYPTED: Final = """
encrypted() {
    device=/sys/class/block/$1
    case $(cat "$device/dm/uuid" 2>/dev/null) in CRYPT-*) echo yes; return ;; esac
    [ -e "$device" ] && [ ! -e "$device/loop" ] || { echo unknown; return; }
    below=$(ls "$device/slaves" 2>/dev/null) || below=
    [ -n "$below" ] || { echo no; return; }
    for each in $below; do encrypted "$each"; done
}
"""
"""A shell function: says of a block device whether it is encrypted, as dm-crypt names what it makes; of one
that lies on others, it says that of each."""
LOOK: Final = f"""
{ENCRYPTED}
command -v btrfs > /dev/null || {{ echo "btrfs: not found" >&2; exit 127; }}
echo "type $(stat -f -c %T {PLACE})"
echo "inode $(stat -c %i {PLACE})"
echo "blocks $(stat -f -c '%S %b %a' {PLACE})"
while read -r _ _ _ _ point options rest; do
    [ "$point" = {PLACE} ] && echo "options $options,${{rest##* }}"
done < /proc/self/mountinfo
[ "$(stat -f -c %T {PLACE})" = btrfs ] || exit 0
uuid=$(btrfs filesystem show --raw {PLACE} 2>/dev/null | sed -n '1s/.*uuid: //p')
echo "uuid $uuid"
echo "quotas $(cat /sys/fs/btrfs/$uuid/qgroups/mode 2>/dev/null || echo none)"
echo encrypted $(for each in $(ls /sys/fs/btrfs/$uuid/devices); do encrypted "$each"; done)
[ -e /sys/fs/btrfs/features/simple_quota ] && echo "simple yes"
btrfs subvolume list {PLACE} > /dev/null 2>&1 && echo "rights yes"
exit 0
"""
"""Prints a word and a value on each line."""


class Encrypted(StrEnum):
    """Whether what is written can be read from the disk without a key, as far as the host's kernel knows."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Of a file nobody here knows what it lies on."""


class Quotas(StrEnum):
    """How a filesystem counts what its subvolumes use."""

    NONE = "none"
    FULL = "qgroup"
    SIMPLE = "squota"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a container sees at the pool's place."""

    filesystem: str
    """Its type in the words of `stat`, such as `btrfs` or `ext2/ext3`."""
    is_subvolume: bool
    writable: bool
    uuid: str
    """Of the filesystem; empty if that is no btrfs."""
    size_bytes: int
    free_bytes: int
    """What can still be written, as `df` has it."""
    quotas: Quotas
    can_count: bool
    """Whether the kernel has simple quotas, which it has since 6.7."""
    has_rights: bool
    """Whether the helper may use what needs SYS_ADMIN."""
    encrypted: Encrypted = Encrypted.UNKNOWN
    compression: str | None = None
    """As its mount option has it, such as `zstd:1`; None if what is written is not compressed."""


def parse(printed: str) -> Found:
    """Return what `LOOK` printed. Raises PoolUnfitError if something is missing in it."""
    said = dict(line.partition(" ")[::2] for line in printed.splitlines())
    try:
        block, total, free = (int(number) for number in said["blocks"].split())
        options = said["options"].split(",")
        return Found(
            filesystem=said["type"],
            is_subvolume=int(said["inode"]) == _SUBVOLUME_INODE,
            writable="ro" not in options,
            uuid=said.get("uuid", ""),
            size_bytes=block * total,
            free_bytes=block * free,
            quotas=Quotas(said.get("quotas", Quotas.NONE)),
            can_count="simple" in said,
            has_rights="rights" in said,
            encrypted=_encrypted(set(said.get("encrypted", "").split())),
            compression=_compression(options),
        )
    except (KeyError, ValueError) as error:
        raise PoolUnfitError(f"pool: the helper's image prints what cannot be read: {printed!r}") from error


def _encrypted(devices: set[str]) -> Encrypted:
    """Return what holds for all of a filesystem's devices: one that is not encrypted is enough."""
    if Encrypted.NO in devices:
        return Encrypted.NO
    return Encrypted.YES if devices == {Encrypted.YES} else Encrypted.UNKNOWN


def _compression(options: list[str]) -> str | None:
    given = [each.partition("=")[2] for each in options if each.startswith(_COMPRESSED)]
    return next((each for each in given if each != "none"), None)


def check(found: Found, path: str, uuid: str | None) -> None:
    """Raise unless what was found is fit to be the pool: the one with `uuid`, if that is known.

    Raises PoolMissingError if another filesystem is there than before, or none; PoolReadOnlyError; and
    PoolUnfitError, which says what would be right.
    """
    if uuid is not None and found.uuid != uuid:
        there = f"the filesystem {found.uuid}" if found.uuid else f"a directory on {found.filesystem}"
        raise PoolMissingError(
            f"at {path} is {there}, not the pool {uuid} that holds the pods: mount that, and this goes on by "
            "itself; if it is lost for good, hosts.accept_storage takes what is there. Nothing was made or "
            "changed"
        )
    if found.filesystem != "btrfs":
        raise PoolUnfitError(
            f"at {path} is {found.filesystem}, not btrfs: mount a btrfs filesystem there (mkfs.btrfs), or "
            "leave PINACLE_POOL empty"
        )
    if not found.is_subvolume:
        raise PoolUnfitError(
            f"{path} is a directory within a btrfs filesystem; allowed: where one is mounted, as then a pool "
            "that is not mounted is not mistaken for an empty one"
        )
    if not found.has_rights or not found.uuid:
        raise PoolUnfitError(NO_RIGHTS)
    if not found.can_count:
        raise PoolUnfitError(
            "the kernel of the Engine's host has no simple quotas of btrfs: it needs Linux 6.7 or newer; or "
            "leave PINACLE_POOL empty"
        )
    if found.quotas is Quotas.FULL:
        raise PoolUnfitError(
            f"{path} has full qgroups, and simple quotas are needed: `btrfs quota disable {path}`, and the "
            "worker turns the others on"
        )
    if not found.writable:
        raise PoolReadOnlyError(f"the pool at {path} is mounted read-only, or became so after a failure")
