"""What goes wrong with a pool, in kinds that callers know already."""

from typing import Final

from worker.errors import (
    HostFullError,
    PermanentError,
    PodError,
    RetryableError,
    StorageMissingError,
)
from worker.interfaces import Ended

OTHER_FILESYSTEM: Final = 97
"""How a command of ours ends if what is mounted has not the pool's UUID; then it has done nothing."""
_LONGEST_TEXT: Final = 500


class PoolMissingError(StorageMissingError):
    """The pool is not mounted, or another filesystem is: nothing is made in its place."""


class PoolReadOnlyError(StorageMissingError):
    """The pool cannot be written: it was mounted so, or its disk failed."""


class PoolUnfitError(PermanentError):
    """What is there cannot be a pool, until a person changes it."""


class PoolFullError(HostFullError):
    """The pool has no room, or a pod has used up its quota."""


class PoolCommandError(RetryableError):
    """A command failed in a way of which nothing is known."""


def failure(what: str, path: str, ended: Ended) -> PodError:
    """Return the error for a command on the pool at `path` that did not end with 0."""
    said = ended.stderr.decode(errors="replace").strip()[:_LONGEST_TEXT]
    if ended.exit_code == OTHER_FILESYSTEM:
        return PoolMissingError(
            f"{what}: what is mounted at {path} is not the pool that this host began with, or nothing is "
            "mounted there. Nothing was made or changed. Mount the pool, and this goes on by itself"
        )
    if "Read-only file system" in said:
        return PoolReadOnlyError(f"{what}: the pool at {path} cannot be written: {said}")
    if "Disk quota exceeded" in said or "No space left on device" in said:
        return PoolFullError(f"{what}: the pool at {path} has no room for it: {said}")
    if "unrecognized option" in said or "unknown token" in said:
        return PoolUnfitError(
            f"{what}: the btrfs-progs in the helper's image are too old: 6.14 or newer is needed, as Debian "
            "13 has, in the image that PINACLE_HELPER_IMAGE names"
        )
    if "Operation not permitted" in said:
        return PoolUnfitError(f"{what}: {NO_RIGHTS}")
    return PoolCommandError(f"{what}: the helper ended with {ended.exit_code}: {said}")


NO_RIGHTS: Final = (
    "the helper may not change a btrfs filesystem, as on a rootless Engine, which cannot give it SYS_ADMIN. "
    "Volumes of the backend `local` work there: leave PINACLE_POOL empty"
)
