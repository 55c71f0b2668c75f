"""Containers that are never meant to run: they hold volumes, or let files be read and written."""

from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from json import loads
from typing import Any, Final

import aiodocker
import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.images import Images
from worker.docker.request import EMPTY_IMAGE, OWN_IMAGES
from worker.errors import ConflictError, ImageGoneError, ObjectMissingError, OutcomeUnknownError

_DIRECTORY: Final = 1 << 31
"""The bit for a directory in the Engine's file modes, which are Go's."""


class Scratch:
    """Makes such containers and looks into them."""

    def __init__(self, calls: EngineCalls, images: Images, *, fill_deadline_s: float) -> None:
        self._calls = calls
        self._images = images
        self._fill_deadline_s = fill_deadline_s

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its id. 1 call.

        An image of our own is made if it is missing, and stands in where the body names none. Raises
        ConflictError where the name is taken, and ImageGoneError.
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
        """Have a container for a while; what stands under its name is a leftover, and goes. 2 calls."""
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
        """Remove a container by name or id, with its anonymous volumes; one that is not there is fine."""
        try:
            params = {"force": "1", "v": "1"}
            await self._calls.json("container_remove", "DELETE", f"containers/{container}", params=params)
        except (ObjectMissingError, ImageGoneError):
            return

    async def start(self, container: str) -> None:
        """Start one after all. 1 call."""
        await self._calls.json("container_start", "POST", f"containers/{container}/start")

    async def has_directory(self, container: str, path: str) -> bool:
        """Whether there is a real directory in a container, and not a link. 1 call."""
        try:
            async with self._reading(container, path) as response:
                # The answer to HEAD would do, but a refusal of it has no body, which the library cannot read.
                described = response.headers["X-Docker-Container-Path-Stat"]
                response.close()
        except ObjectMissingError:
            return False
        return bool(loads(b64decode(described))["mode"] & _DIRECTORY)

    async def copy(self, source: str, path: str, target: str) -> None:
        """Copy a directory to the same place in another container, with owners and modes. 2 calls."""
        async with self._reading(source, path) as response:
            # The archive's entries begin with the directory's own name.
            await self._write(target, "/", response.content.iter_any())

    @asynccontextmanager
    async def _reading(self, container: str, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        docker = await self._calls.client()
        self._calls.count("archive_read")
        with _explained("archive_read"):
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
        with _explained("archive_write"):
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


@contextmanager
def _explained(operation: str) -> Iterator[None]:
    try:
        yield
    except aiodocker.DockerError as error:
        raise explain(operation, "the Engine", error) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise OutcomeUnknownError(f"{operation}: broke off: {error}") from error
