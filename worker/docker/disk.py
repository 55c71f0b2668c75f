"""The disk under an Engine, where this process can see it."""

import asyncio
import ctypes
import os
from pathlib import Path

from worker.errors import OutcomeUnknownError


class Disk:
    """The file system of an Engine's data root."""

    def __init__(self, root: Path | None) -> None:
        """`root` is where this process sees the data root, None while that is not known."""
        self._given = self._root = root

    @property
    def is_known(self) -> bool:
        return self._root is not None

    def look_at(self, root: str) -> None:
        """Take the path that the Engine names for the path on this machine, if none was given."""
        self._root = self._given or Path(root)

    async def sync(self) -> None:
        """Write all that is dirty to the disk. Raises OutcomeUnknownError when the disk fails.

        Where the data root is not to be seen, as from a container, or not to be opened, as by another user
        than root, all disks of this kernel are written. Behind a forwarded socket that is not the Engine's.
        """
        try:
            await asyncio.to_thread(_sync, self._root)
        except OSError as error:
            raise OutcomeUnknownError(f"the disk of {self._root} cannot be written to: {error}") from error


def _sync(root: Path | None) -> None:
    try:
        descriptor = os.open(root or "", os.O_RDONLY | os.O_DIRECTORY)
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
