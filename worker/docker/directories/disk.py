"""The disk under an Engine, if this process can see it."""

import asyncio
import ctypes
import os
import shutil
from pathlib import Path
from typing import Final

import structlog

from worker.errors import OutcomeUnknownError
from worker.hanging import HangingThreads

_log: Final = structlog.get_logger(__name__)


class Disk:
    """Writes to the disk what is only in memory, and waits for a disk that hangs until a deadline at most."""

    def __init__(self, *, deadline_s: float, patience_s: float) -> None:
        """`patience_s` is after how many seconds the log says that the disk is slow."""
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._threads = HangingThreads()

    async def sync(self, root: Path) -> None:
        """Write all that is dirty on the file system of `root` to its disk.

        If `root` cannot be seen (the worker is in a container) or not opened (it is not root), all disks of
        this kernel are written. Raises OutcomeUnknownError if the disk fails or does not answer.
        """
        told = asyncio.get_running_loop().call_later(self._patience_s, _tell, root)
        try:
            await self._threads.run(lambda: _sync(root), self._deadline_s)
        except TimeoutError as error:
            raise OutcomeUnknownError(
                f"the disk of {root} did not take what was written within {self._deadline_s:g} s: check "
                "whether it, and every other mount of the worker's machine, answers (df, dmesg)"
            ) from error
        except OSError as error:
            raise OutcomeUnknownError(f"the disk of {root} cannot be written to: {error}") from error
        finally:
            told.cancel()


def free_bytes(root: Path) -> int | None:
    """Return how much an ordinary user may still write, None where `root` cannot be seen. May hang."""
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None


def _tell(root: Path) -> None:
    _log.warning("disk_slow", root=str(root), reason="it has not taken what was written; this is waited for")


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
    """Call syncfs(2), which Python does not offer: it syncs one file system and reports errors."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
