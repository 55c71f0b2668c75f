"""The disk under an Engine, where this process can see it."""

import asyncio
import ctypes
import os
from pathlib import Path

from worker.errors import OutcomeUnknownError


async def sync(root: Path) -> None:
    """Write all that is dirty on the file system of `root` to its disk.

    Where `root` is not to be seen, as from a container, or not to be opened, as by another user than root,
    all disks of this kernel are written. Raises OutcomeUnknownError when the disk fails.
    """
    try:
        await asyncio.to_thread(_sync, root)
    except OSError as error:
        raise OutcomeUnknownError(f"the disk of {root} cannot be written to: {error}") from error


def _sync(root: Path) -> None:
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        os.sync()
        return
    try:
        _syncfs(descriptor)
    finally:
        os.close(descriptor)


def _syncfs(descriptor: int) -> None:
    """Do syncfs(2), which Python has no name for: one file system, and its errors are told."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
