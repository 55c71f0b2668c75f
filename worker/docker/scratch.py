"""Containers that are hardly ever started: they hold volumes, or let files be read and written."""

import asyncio
import posixpath
import re
import tarfile
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from json import loads
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, NamedTuple, cast

import aiohttp

from worker.docker.archives import Listing, Sieve
from worker.docker.calls import EngineCalls
from worker.docker.failures import explained
from worker.docker.images.images import Images
from worker.docker.request import EMPTY_IMAGE, OWN_IMAGES
from worker.errors import ConflictError, ImageGoneError, ObjectMissingError, PodError
from worker.pods.own_root import Standing
from worker.pods.shape import Folder, Kind, Look

DIRECTORY: Final = 1 << 31
"""The bit for a directory in the Engine's file modes, which are Go's."""
_LINK: Final = 1 << 27
_PERMISSIONS: Final = 0o7777
_IN_MEMORY: Final = 2**20
"""Bytes of an archive that are kept in memory rather than in a file."""
_ENOUGH: Final = 2**16
"""Bytes. The archive of an empty directory has 1536, and more with extended attributes."""
_OF_REMAPPED: Final = re.compile(r"/([0-9]+)\.([0-9]+)$")
_LOOPS: Final = ("too many links", "too many levels of symbolic links")


class Root(NamedTuple):
    """A user and a group of the host."""

    uid: int
    gid: int


HOSTS_ROOT: Final = Root(0, 0)


class Scratch:
    """Makes such containers and looks into them."""

    def __init__(self, *, calls: EngineCalls, images: Images, fill_deadline_s: float) -> None:
        self._calls = calls
        self._images = images
        self._fill_deadline_s = fill_deadline_s
        self.root = HOSTS_ROOT
        """The user of the host that is root in containers; the Engine's archives have the host's numbers."""

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its id. 1 call.

        If the body names no image, the empty one of ours is used. If an image of ours is missing, it is made.
        Raises ConflictError if the name is taken, and ImageGoneError.
        """
        image = body.get("Image", EMPTY_IMAGE)
        try:
            return await self._create(name, {**body, "Image": image})
        except ImageGoneError:
            if image not in OWN_IMAGES:
                raise
        await self._images.make(image, OWN_IMAGES[image])
        return await self._create(name, {**body, "Image": image})

    @asynccontextmanager
    async def created(self, name: str, body: Mapping[str, Any]) -> AsyncIterator[str]:
        """Yield a temporary container; one of the same name is a leftover and is removed first. 2 calls."""
        try:
            container_id = await self.create(name, body)
        except ConflictError:
            await self.remove(name)
            container_id = await self.create(name, body)
        try:
            yield container_id
        finally:
            await self.remove(container_id)

    async def remove(self, container: str) -> None:
        """Remove a container by name or id, with its anonymous volumes.

        Does nothing if it does not exist, or if somebody else is removing it.
        """
        try:
            params = {"force": "1", "v": "1"}
            await self._calls.json("container_remove", "DELETE", f"containers/{container}", params=params)
        except (ObjectMissingError, ImageGoneError):
            return
        except ConflictError as error:
            if "already in progress" not in str(error):
                raise

    async def start(self, container: str) -> None:
        """Start a container. 1 call."""
        await self._calls.json("container_start", "POST", f"containers/{container}/start")

    async def has_directory(self, container: str, path: str) -> bool:
        """Whether a path in a container is a real directory, not a link. 1 call."""
        return (await self.look(container, path)).kind is Kind.DIRECTORY

    async def standing(self, container: str, path: str) -> Standing:
        """Return what stands at a path in a container whose parents are real directories. 1 call."""
        kind = (await self.look(container, path)).kind
        if kind in (Kind.DIRECTORY, Kind.MISSING):
            return Standing.DIRECTORY if kind is Kind.DIRECTORY else Standing.NOTHING
        return Standing.OTHER

    async def look(self, container: str, path: str) -> Look:
        """Return what is at a path in a container. 1 call."""
        try:
            async with self._reading(container, path) as response:
                # HEAD would be enough, but if it is refused, the answer has no body, and the library fails.
                described = response.headers["X-Docker-Container-Path-Stat"]
                response.close()
        except ObjectMissingError:
            return Look(kind=Kind.MISSING)
        except PodError as error:
            if not any(words in str(error) for words in _LOOPS):
                raise
            return Look(kind=Kind.LOOP)
        stat = loads(b64decode(described))
        if stat["mode"] & _LINK:
            return Look(kind=Kind.LINK, target=stat["linkTarget"])
        return Look(kind=Kind.DIRECTORY if stat["mode"] & DIRECTORY else Kind.FILE)

    async def folders(self, container: str, path: str) -> tuple[Folder, ...]:
        """Return a directory of a container and all directories in it, parents first. 1 call."""
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as archive:
            async with self._reading(container, path) as response:
                async for piece in response.content.iter_any():
                    archive.write(piece)
            archive.seek(0)
            parent = posixpath.dirname(path)
            return await asyncio.to_thread(_folders, cast("IO[bytes]", archive), parent, self.root)

    async def roots(self, container: str) -> tuple[str, ...]:
        """Return the directories of a container directly below `/`. 1 call, of whose answer all is read."""
        listing = Listing()
        async with self._reading(container, "/") as response:
            async for _ in listing.through(response.content.iter_any()):
                pass
        return tuple(sorted(listing.directories))

    async def is_empty(self, container: str, path: str) -> bool:
        """Whether a directory of a container is empty. 1 call, of whose answer only the beginning is read."""
        beginning = b""
        async with self._reading(container, path) as response:
            async for piece in response.content.iter_any():
                beginning += piece
                if len(beginning) > _ENOUGH:
                    response.close()
                    return False
        with tarfile.open(fileobj=BytesIO(beginning), mode="r:") as tar:
            return len(tar.getmembers()) == 1

    async def copy(self, source: str, path: str, target: str, sieve: Sieve) -> None:
        """Copy a directory into `/` of another container, under its own name. 2 calls.

        Into `/`, because anywhere else the Engine drops the setuid bit of files that have several names.
        """
        async with self._reading(source, path) as response:
            # The archive's entries begin with the directory's own name.
            await self._write(target, "/", sieve.through(response.content.iter_any()))

    async def count(self, source: str, path: str, sieve: Sieve) -> int:
        """Return how many bytes the archive of a directory has. 1 call."""
        async with self._reading(source, path) as response:
            async for _ in sieve.through(response.content.iter_any()):
                pass
        return sieve.bytes

    @asynccontextmanager
    async def _reading(self, container: str, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        docker = await self._calls.client()
        self._calls.count("archive_read")
        with explained("archive_read"):
            query = docker._query(  # noqa: SLF001 - `get_archive` reads it all at once
                f"containers/{container}/archive",
                "GET",
                params={"path": path},
                timeout=aiohttp.ClientTimeout(total=self._fill_deadline_s),
            )
            async with query as response, response:
                yield response

    async def _write(self, container: str, path: str, archive: AsyncIterator[bytes]) -> None:
        docker = await self._calls.client()
        self._calls.count("archive_write")
        with explained("archive_write"):
            async with docker._query(  # noqa: SLF001 - `put_archive` leaves the response open
                f"containers/{container}/archive",
                "PUT",
                params={"path": path},
                data=archive,
                headers={"Content-Type": "application/x-tar"},
                timeout=aiohttp.ClientTimeout(total=self._fill_deadline_s),
            ) as response:
                await response.read()

    async def _create(self, name: str, body: Mapping[str, Any]) -> str:
        params = {"name": name}
        created = await self._calls.json(
            "container_create",
            "POST",
            "containers/create",
            params=params,
            body=dict(body),
            deadline_s=self._fill_deadline_s,
        )
        return str(created["Id"])


def mapped_root(info: Mapping[str, Any]) -> Root:
    """Return the user of the host that is root in containers, from the Engine's answer about itself.

    With userns-remap, the Engine's data root is a folder named after that user and group.
    """
    named = _OF_REMAPPED.search(info.get("DockerRootDir") or "")
    if named is None or not any("name=userns" in each for each in info.get("SecurityOptions") or ()):
        return HOSTS_ROOT
    return Root(int(named[1]), int(named[2]))


def _folders(archive: IO[bytes], parent: str, root: Root) -> tuple[Folder, ...]:
    with tarfile.open(fileobj=archive, mode="r:") as tar:
        found = [
            Folder(
                path=posixpath.normpath(posixpath.join("/", parent, entry.name)),
                mode=entry.mode & _PERMISSIONS,
                uid=max(0, entry.uid - root.uid),
                gid=max(0, entry.gid - root.gid),
            )
            for entry in tar
            if entry.isdir()
        ]
    return tuple(sorted(found, key=lambda folder: folder.path))
