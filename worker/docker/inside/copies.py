"""Copies files into and out of a container as tar archives, including its mounts and with owners."""

from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from json import loads
from typing import Final, NamedTuple

import aiodocker
import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.errors import OutcomeUnknownError

_DIRECTORY: Final = 1 << 31
"""The bit for a directory in the Engine's file modes, which are Go's."""
_SILENCE_S: Final = 60.0
_HEADERS: Final = {"Content-Type": "application/x-tar"}


class Archive(NamedTuple):
    """What is at a path, and its content as a tar archive of that one name."""

    name: str
    is_directory: bool
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def reading(calls: EngineCalls, container_id: str, path: str) -> AsyncIterator[Archive]:
    """Read a file or a directory. Raises ObjectMissingError, OutcomeUnknownError."""
    docker = await calls.client()
    calls.count("archive_read")
    with _explained("archive_read"):
        query = docker._query(  # noqa: SLF001 - `get_archive` reads it all at once
            f"containers/{container_id}/archive",
            "GET",
            params={"path": path},
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S),
        )
        async with query as response, response:
            stat = loads(b64decode(response.headers["X-Docker-Container-Path-Stat"]))
            yield Archive(stat["name"], bool(stat["mode"] & _DIRECTORY), response.content.iter_any())


async def write(calls: EngineCalls, container_id: str, directory: str, archive: AsyncIterator[bytes]) -> None:
    """Unpack an archive into an existing directory. Raises ObjectMissingError, PermanentError."""
    docker = await calls.client()
    calls.count("archive_write")
    with _explained("archive_write"):
        async with docker._query(  # noqa: SLF001 - `put_archive` leaves the response open
            f"containers/{container_id}/archive",
            "PUT",
            params={"path": directory, "noOverwriteDirNonDir": "1"},
            data=archive,
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S),
        ) as response:
            await response.read()


@contextmanager
def _explained(operation: str) -> Iterator[None]:
    try:
        yield
    except aiodocker.DockerError as error:
        raise explain(operation, "the Engine", error) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise OutcomeUnknownError(f"{operation}: broke off: {error}") from error
