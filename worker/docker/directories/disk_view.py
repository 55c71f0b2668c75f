"""A program of its own that reads what one container holds, on the disk of its Engine.

It mounts the container's own root read-only in a mount namespace of its own, so that the mount is gone
however the process ends. It opens a path part by part and never follows a link: what a pod made must not lead
to a place on the host. It ends with 3, having done nothing, if the disk cannot be read in this way.
"""

import ctypes
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

CANNOT_SEE: Final = 3
_CLONE_NEWNS: Final = 0x00020000
_MS_RDONLY, _MS_REC, _MS_PRIVATE = 1, 0x4000, 1 << 18
_BLOCK: Final = 512
_TAR: Final = (
    *("tar", "--create", "--file=-", "--format=posix", "--sparse", "--numeric-owner", "--acls", "--xattrs"),
    *("--xattrs-include=*", "--xattrs-exclude=trusted.overlay.*", "--anchored", "--no-wildcards"),
)


def main() -> None:
    order: dict[str, Any] = json.loads(sys.argv[1])
    try:
        root = _mounted(Path(order["layer"])) if order["layer"] else Path(order["root"])
        os.fchdir(_opened(root, order["path"]))
    except OSError as error:
        sys.stderr.write(str(error))
        sys.exit(CANNOT_SEE)
    nested = [f"./{path}" for path in order["nested"]]
    if order["measure"]:
        sys.stdout.write(str(sum(_sizes(frozenset(nested)))))
    else:
        os.execvp("tar", [*_TAR, *(f"--exclude={path}" for path in nested), "."])  # noqa: S606, S607


def _mounted(layer: Path) -> Path:
    """Mount a layer of the driver overlay2 with all layers below it, and return where."""
    lower = ":".join(["l/" + (layer / "link").read_text(), (layer / "lower").read_text()])
    # The driver's short names are relative to this folder. It has them because mount options must be short.
    os.chdir(layer.parent)
    libc = ctypes.CDLL(None, use_errno=True)
    _done(libc.unshare(_CLONE_NEWNS))
    _done(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    _done(libc.mount(b"overlay", bytes(layer), b"overlay", _MS_RDONLY, f"lowerdir={lower}".encode()))
    return layer


def _done(answer: int) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _opened(root: Path, path: str) -> int:
    found = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for part in filter(None, path.split("/")):
        found = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=found)
    return found


def _sizes(nested: frozenset[str]) -> Iterator[int]:
    """Yield how many bytes each file takes on the disk; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk("."):
        folders[:] = [name for name in folders if f"{folder}/{name}" not in nested]
        for name in (".", *files):
            try:
                status = os.lstat(f"{folder}/{name}")
            except FileNotFoundError:
                continue  # This is measured while the pod runs, and its programs remove files.
            if stat.S_ISDIR(status.st_mode) or status.st_nlink == 1 or (key := _key(status)) not in seen:
                yield status.st_blocks * _BLOCK
                if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
                    seen.add(key)


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


if __name__ == "__main__":
    main()
