"""`pinacle pods cp`: copies files between this machine and a pod as tar archives."""

import asyncio
import posixpath
import tarfile
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from worker.cli.exits import EndingError, Exit
from worker.cli.inside.reaching import Reached
from worker.errors import ObjectMissingError

_PIECE: Final = 2**20


class Place(NamedTuple):
    """A path in a pod."""

    pod_id: str
    path: str


def place(text: str) -> Place | None:
    """Return what `ID:/path` names; None for a path of this machine, such as `./a:b`."""
    pod_id, colon, path = text.partition(":")
    if not colon or "/" in pod_id or not pod_id:
        return None
    return Place(pod_id, posixpath.join("/", path))


async def fetch(reached: Reached, path: str, target: Path) -> Path:
    """Copy a file or directory of a pod into an existing directory, or to a new name; return the path.

    Raises EndingError.
    """
    try:
        async with reached.engine.streams.archive(reached.container_id, path) as archive:
            place_of_it = _destination(target, archive.name)
            # Beside the target, so that it can be renamed to it once it is complete.
            with tempfile.TemporaryDirectory(dir=place_of_it.parent, prefix=".pinacle-") as folder:
                await _unpacked(archive.chunks, folder)
                _named(folder, archive.name, place_of_it)
    except ObjectMissingError as error:
        raise EndingError(Exit.FAILED, f"there is no {path} in the pod") from error
    return place_of_it


async def send(reached: Reached, source: Path, path: str) -> str:
    """Copy a file or directory into an existing directory of a pod, or to a new name; return the path.

    The copy belongs to the pod's root. Raises EndingError.
    """
    with tempfile.TemporaryFile() as file:
        directory, name = await _place_in_pod(reached, source, path)
        _pack(source, name, file)
        try:
            await reached.engine.streams.unpack(reached.container_id, directory, _pieces(file))
        except ObjectMissingError as error:
            raise EndingError(Exit.FAILED, f"there is no directory {directory} in the pod") from error
    return posixpath.join(directory, name)


def _destination(target: Path, name: str) -> Path:
    """Return the path for the copy. Raises EndingError if it is impossible, or an existing directory."""
    found = target / name if target.is_dir() else target
    if not found.parent.is_dir():
        raise EndingError(Exit.FAILED, f"there is no directory {found.parent}: make it first")
    if found.is_dir() and not found.is_symlink():
        raise EndingError(Exit.FAILED, f"{found} is a directory already: remove it, or give another name")
    return found


def _named(folder: str, name: str, destination: Path) -> None:
    Path(folder, name).replace(destination)


async def _place_in_pod(reached: Reached, source: Path, path: str) -> tuple[str, str]:
    """Return directory and name: in an existing directory its own name, otherwise the given one."""
    whole = posixpath.normpath(path)
    try:
        async with reached.engine.streams.archive(reached.container_id, whole) as there:
            if there.is_directory:
                return whole, source.resolve().name  # noqa: ASYNC240 - one path, and nobody else waits
    except ObjectMissingError:
        pass  # It gets this name.
    return posixpath.split(whole)


def _pack(source: Path, name: str, file: IO[bytes]) -> None:
    try:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(source, arcname=name, filter=_of_root)
    except OSError as error:
        raise EndingError(Exit.FAILED, f"it cannot be read on this machine: {error}") from error
    file.seek(0)


async def _unpacked(chunks: AsyncIterator[bytes], folder: str) -> None:
    # Not with Python's own module, which in older versions lets an archive write to places outside.
    tar = await asyncio.create_subprocess_exec(
        "tar",
        "--extract",
        "--no-same-owner",
        f"--directory={folder}",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = asyncio.create_task(_said(tar))
    with suppress(BrokenPipeError, ConnectionResetError):  # It says why.
        async for chunk in chunks:
            await _put_in(tar, chunk)
    if tar.stdin is not None:
        tar.stdin.close()
    words = await said
    if await tar.wait():
        raise EndingError(Exit.FAILED, f"it could not be unpacked: {words}")


async def _put_in(process: Process, content: bytes) -> None:
    if process.stdin is not None:
        process.stdin.write(content)
        await process.stdin.drain()


async def _said(process: Process) -> str:
    said = b"" if process.stderr is None else await process.stderr.read()
    return said.decode(errors="replace").strip()


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
