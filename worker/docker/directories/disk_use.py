"""A program of its own that says how much volumes take on the disk of their Engine.

It runs at the lowest priority, for the processors and for the disk. It opens folder by folder and never
follows a link: what a pod made must not lead to a place on the host. What is mounted in a volume is not the
volume's. It prints a line of JSON for each volume that is there, without a number for one that cannot be
walked through, such as one with thousands of folders in each other. It ends with 3 if it sees no volumes.
"""

import ctypes
import json
import os
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

CANNOT_SEE: Final = 3
_BLOCK: Final = 512
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}
"""Numbers of the system call, which neither Python nor the C library offers."""
_MOST_BYTES: Final = 512 * 2**20
_WHO_PROCESS: Final = 1
_CLASS_IDLE: Final = 3 << 13


def main() -> None:
    order: dict[str, Any] = json.loads(sys.stdin.read())
    _step_back()
    try:
        volumes = os.open(Path(order["volumes"]), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        sys.stderr.write(str(error))
        sys.exit(CANNOT_SEE)
    for name in order["names"]:
        try:
            taken: int | None = sum(sizes(name, volumes))
        except FileNotFoundError:
            continue
        except (OSError, RecursionError, MemoryError):
            # What one pod made must not keep the others from being measured.
            taken = None
        sys.stdout.write(f"{json.dumps({'name': name, 'bytes': taken})}\n")
        sys.stdout.flush()


def _step_back() -> None:
    os.nice(19)
    # A pod may have any number of files with several names, and a worker shares its limit with this program.
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        # Where the disk's scheduler knows no priorities this changes nothing.
        ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _CLASS_IDLE)


def sizes(name: str, volumes: int) -> Iterator[int]:
    """Yield how many bytes each file of a volume takes; a file with several names counts once.

    `volumes` is a descriptor of the folder of all volumes. Raises FileNotFoundError if there is none of that
    name.
    """
    root = f"{name}/_data"
    device = os.stat(root, dir_fd=volumes, follow_symlinks=False).st_dev
    seen: set[int] = set()
    for _, folders, files, folder in os.fwalk(root, dir_fd=volumes, onerror=_refused):
        here = os.fstat(folder)
        if here.st_dev != device:
            folders.clear()
            continue
        yield here.st_blocks * _BLOCK
        for each in (*files, *(one for one in folders if _is_link(one, folder))):
            status = _status(each, folder)
            if status is None or (status.st_nlink > 1 and status.st_ino in seen):
                continue
            if status.st_nlink > 1:
                seen.add(status.st_ino)
            yield status.st_blocks * _BLOCK


def _refused(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _is_link(name: str, folder: int) -> bool:
    status = _status(name, folder)
    return status is not None and stat.S_ISLNK(status.st_mode)


def _status(name: str, folder: int) -> os.stat_result | None:
    """Return None for what is gone: this is measured while pods run, and their programs remove files."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


if __name__ == "__main__":
    main()
