"""Copies directories of containers on the Engine's own disk, if this process sees it.

It keeps owners, modes, ACLs, all extended attributes, hard links, devices and the holes of sparse files. Of
these, the Engine's own archives keep only owners, modes and links.
"""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.docker.directories import disk_view
from worker.errors import CopyFailedError, OutcomeUnknownError

_EXTRACT: Final = (
    *("tar", "--extract", "--file=-", "--preserve-permissions", "--numeric-owner", "--acls", "--xattrs"),
    "--xattrs-include=*",
)
_LONGEST_WORDS: Final = 500


@dataclass(frozen=True, kw_only=True)
class Source:
    """A directory on the Engine's disk: in a container's own root, or in a volume."""

    layer: Path | None
    """The container's layer, of the driver overlay2; None for a volume."""
    root: Path | None
    """The volume's folder."""
    path: str
    """Below that."""
    nested: tuple[str, ...]
    """Paths below `path` that are left out, because they have volumes of their own."""


async def measure(source: Source, deadline_s: float) -> int | None:
    """Return how many bytes a directory takes on the disk, None if that cannot be seen from here."""
    if not _can_copy():
        return None
    async with _viewing(source, measure=True) as viewer:
        try:
            async with asyncio.timeout(deadline_s):
                said, complaint = await viewer.communicate()
        except TimeoutError as error:
            raise CopyFailedError(f"/{source.path} was not measured within {deadline_s:g} s") from error
    if viewer.returncode == disk_view.CANNOT_SEE:
        return None
    _check(viewer, complaint)
    return int(said)


async def copy(source: Source, target: Path, deadline_s: float) -> bool:
    """Copy a directory into an empty folder; False if it cannot be seen from here and nothing was done.

    Raises CopyFailedError.
    """
    if not _can_copy():
        return False
    try:
        folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        async with asyncio.timeout(deadline_s):
            return await _copy(source, folder)
    except TimeoutError as error:
        raise CopyFailedError(
            f"copying /{source.path} took longer than {deadline_s:g} s (PINACLE_FILL_DEADLINE_S)"
        ) from error
    finally:
        os.close(folder)


async def _copy(source: Source, folder: int) -> bool:
    read_end, write_end = os.pipe()
    try:
        async with (
            _viewing(source, measure=False, stdout=write_end) as viewer,
            # By its descriptor, so that nothing is written into a new volume of the same name made meanwhile.
            _running(
                *_EXTRACT,
                f"--directory=/proc/self/fd/{folder}",
                stdin=read_end,
                stdout=DEVNULL,
                keep=(folder,),
            ) as writer,
        ):
            os.close(read_end)
            os.close(write_end)
            read_end = write_end = -1
            (_, why_not_read), (_, why_not_written) = await asyncio.gather(
                viewer.communicate(), writer.communicate()
            )
    finally:
        for end in (read_end, write_end):
            if end >= 0:
                os.close(end)
    if viewer.returncode == disk_view.CANNOT_SEE:
        return False
    _check(writer, why_not_written)
    _check(viewer, why_not_read)
    return True


def _can_copy() -> bool:
    return os.geteuid() == 0 and shutil.which("tar") is not None


@asynccontextmanager
async def _viewing(source: Source, *, measure: bool, stdout: int = PIPE) -> AsyncIterator[Process]:
    order = {
        "layer": None if source.layer is None else str(source.layer),
        "root": None if source.root is None else str(source.root),
        "path": source.path,
        "nested": source.nested,
        "measure": measure,
    }
    words = (sys.executable, "-I", disk_view.__file__, json.dumps(order))
    async with _running(*words, stdin=DEVNULL, stdout=stdout) as process:
        yield process


@asynccontextmanager
async def _running(*words: str, stdin: int, stdout: int, keep: Sequence[int] = ()) -> AsyncIterator[Process]:
    environment = {**os.environ, "LC_ALL": "C"}  # noqa: TID251 - handed on, not read
    process = await asyncio.create_subprocess_exec(
        *words, stdin=stdin, stdout=stdout, stderr=PIPE, pass_fds=keep, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _check(process: Process, complaint: bytes) -> None:
    if process.returncode is not None and process.returncode < 0:
        raise OutcomeUnknownError(f"copying on the Engine's disk was ended by signal {-process.returncode}")
    if process.returncode != 0:
        text = complaint.decode(errors="replace").strip()[-_LONGEST_WORDS:]
        raise CopyFailedError(f"copying on the Engine's disk failed with {process.returncode}: {text}")
