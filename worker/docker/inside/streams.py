"""`worker.interfaces.Streams` on one real Docker Engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import aiodocker
import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.inside import copies, session
from worker.docker.inside.frames import STDERR, Piece, pieces
from worker.docker.inside.session import Session
from worker.errors import (
    EngineUnavailableError,
    ImageGoneError,
    OutcomeUnknownError,
    OutputTooLongError,
    PermanentError,
)
from worker.interfaces import Ended

_LONGEST_VALUE: Final = 256 * 1024
"""Bytes: more than all of a spec, and so than any value of `env`. This much is kept beyond what is asked for,
so that a value across that boundary is recognised and masked."""
_MOST_FOLLOWED: Final = 16 * 2**20
"""Bytes that one command may print. More would delay all callers of this worker."""
_CANNOT_RUN: Final = 126
"""Exit codes of shells, and of Docker's command line, for what cannot be run; 127 means it does not exist."""


class ContainerStreams:
    """Reads what containers print, and runs commands in them."""

    def __init__(self, *, calls: EngineCalls, deadline_s: float) -> None:
        """`deadline_s` is for one answer of the Engine, however long that is."""
        self._calls = calls
        self._deadline_s = deadline_s

    async def given_values(self, container_id: str) -> Sequence[str]:
        """See `worker.interfaces.Streams`; 2 calls."""
        entry = await self._calls.json("container_inspect", "GET", f"containers/{container_id}/json")
        try:
            image = await self._calls.json("image_inspect", "GET", f"images/{entry['Image']}/json")
        except ImageGoneError:
            image = {}
        own = frozenset((image.get("Config") or {}).get("Env") or ())
        return [each.partition("=")[2] for each in entry["Config"].get("Env") or () if each not in own]

    async def logs(self, container_id: str, *, tail: int, since: float | None, most_bytes: int) -> bytes:
        """See `worker.interfaces.Streams`; 1 call."""
        params = {"stdout": "1", "stderr": "1", "tail": str(tail)}
        if since is not None:
            params["since"] = f"{since:.9f}"
        kept = _End(most_bytes + _LONGEST_VALUE)
        path = f"containers/{container_id}/logs"
        reading = self._reading("container_logs", "GET", path, params=params, deadline_s=self._deadline_s)
        async with reading as found:
            async for piece in found:
                kept.add(piece.content)
        return kept.content()

    async def execute(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        user: str | None,
        timeout_s: float,
        most_bytes: int,
    ) -> Ended:
        """See `worker.interfaces.Streams`; 3 calls."""
        body = {"AttachStdout": True, "AttachStderr": True, "Cmd": list(command), "User": user or ""}
        path = f"containers/{container_id}/exec"
        made = await self._calls.json("exec_create", "POST", path, body=body)
        printed = _Printed(most_bytes + _LONGEST_VALUE)
        timed_out = False
        try:
            async with asyncio.timeout(timeout_s):
                await self._follow(made["Id"], printed)
        except TimeoutError:
            timed_out = True
        except OutputTooLongError:
            raise
        except PermanentError as error:
            # No such program or user. An older Engine prints this itself, in place of the command's output.
            return Ended(exit_code=_CANNOT_RUN, timed_out=False, stdout=b"", stderr=str(error).encode())
        seen = await self._calls.json("exec_inspect", "GET", f"exec/{made['Id']}/json")
        return Ended(
            exit_code=seen["ExitCode"] if not seen["Running"] else None,
            timed_out=timed_out and bool(seen["Running"]),
            stdout=bytes(printed.stdout),
            stderr=bytes(printed.stderr),
        )

    @asynccontextmanager
    async def followed(self, container_id: str, *, tail: int) -> AsyncIterator[AsyncIterator[Piece]]:
        """Read the last `tail` lines that a container printed, and what it prints until it ends."""
        params = {"stdout": "1", "stderr": "1", "follow": "1", "tail": str(tail)}
        path = f"containers/{container_id}/logs"
        async with self._reading("container_logs", "GET", path, params=params, deadline_s=None) as found:
            yield found

    def session(
        self, container_id: str, command: Sequence[str], *, user: str | None, terminal: str | None
    ) -> AbstractAsyncContextManager[Session]:
        """Run a command with a person at the other end; see `session.opened`."""
        return session.opened(self._calls, container_id, command, user=user, terminal=terminal)

    def archive(self, container_id: str, path: str) -> AbstractAsyncContextManager[copies.Archive]:
        """Read a file or a directory; see `copies.reading`."""
        return copies.reading(self._calls, container_id, path)

    async def unpack(self, container_id: str, directory: str, archive: AsyncIterator[bytes]) -> None:
        """Unpack an archive into a directory; see `copies.write`."""
        await copies.write(self._calls, container_id, directory, archive)

    async def _follow(self, exec_id: str, printed: "_Printed") -> None:
        """Start the command that was created, and read what it prints until it has ended."""
        body = json.dumps({"Detach": False, "Tty": False})
        path = f"exec/{exec_id}/start"
        # It may be silent as long as it wants: the caller has a deadline.
        reading = self._reading("exec_start", "POST", path, data=body, deadline_s=None)
        async with reading as found:
            async for piece in found:
                printed.add(piece)
                if printed.size > _MOST_FOLLOWED:
                    raise OutputTooLongError(
                        f"command: it prints more than {_MOST_FOLLOWED} bytes; it goes on in the pod, but is "
                        "no longer followed; allowed: to write to a file there, and to read the end of that"
                    )

    @asynccontextmanager
    async def _reading(
        self, operation: str, method: str, path: str, *, deadline_s: float | None, **request: Any
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        docker = await self._calls.client()
        self._calls.count(operation)
        timeout = aiohttp.ClientTimeout(total=deadline_s)
        try:
            query = docker._query(path, method, timeout=timeout, **request)  # noqa: SLF001 - a stream
            async with query as response, response:
                yield pieces(response.content.iter_any())
        except aiodocker.DockerError as error:
            raise explain(operation, "the Engine", error) from error
        except TimeoutError as error:
            raise EngineUnavailableError(f"{operation}: not all of it came within {deadline_s} s") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise OutcomeUnknownError(f"{operation}: the connection to the Engine broke: {error}") from error


class _End:
    """The last bytes of a stream of any length."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()

    def add(self, content: bytes) -> None:
        self._kept += content
        if len(self._kept) > 2 * self._most:
            del self._kept[: -self._most]

    def content(self) -> bytes:
        return bytes(self._kept[-self._most :])


class _Printed:
    """The first bytes of what a command prints, and how many there were."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = 0
        self.stdout = bytearray()
        self.stderr = bytearray()

    def add(self, piece: Piece) -> None:
        self.size += len(piece.content)
        kept = self.stderr if piece.stream == STDERR else self.stdout
        kept += piece.content[: max(0, self._most - len(kept))]
