"""Copies files into and out of a container as tar archives, including its mounts and with owners."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import loads
from typing import Final, NamedTuple

import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explained
from worker.docker.scratch import DIRECTORY

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
    with explained("archive_read"):
        query = docker._query(  # noqa: SLF001 - `get_archive` reads it all at once
            f"containers/{container_id}/archive",
            "GET",
            params={"path": path},
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S),
        )
        async with query as response, response:
            stat = loads(b64decode(response.headers["X-Docker-Container-Path-Stat"]))
            yield Archive(stat["name"], bool(stat["mode"] & DIRECTORY), response.content.iter_any())


async def write(calls: EngineCalls, container_id: str, directory: str, archive: AsyncIterator[bytes]) -> None:
    """Unpack an archive into an existing directory. Raises ObjectMissingError, PermanentError."""
    docker = await calls.client()
    calls.count("archive_write")
    with explained("archive_write"):
        async with docker._query(  # noqa: SLF001 - `put_archive` leaves the response open
            f"containers/{container_id}/archive",
            "PUT",
            params={"path": directory, "noOverwriteDirNonDir": "1"},
            data=archive,
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S),
        ) as response:
            await response.read()
