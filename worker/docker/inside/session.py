"""A command in a container with a person at the other end, who types and reads."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiodocker
import aiohttp
import stamina
import structlog
from aiodocker.execs import Exec

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.inside.frames import Piece
from worker.errors import OutcomeUnknownError

_log: Final = structlog.get_logger(__name__)
_STARTED_S: Final = 2.0
"""Seconds in which a command is seen to have begun."""
_ENDED_S: Final = 5.0
"""Seconds in which a command has to end once its streams are closed."""


class Session:
    """One run of a command. It begins with `opened`, and ends when the command closes its streams."""

    def __init__(self, execution: Exec, stream: Any) -> None:
        self._execution = execution
        self._stream = stream

    async def read(self) -> Piece | None:
        """Return what is printed next, None at the end of the output. Raises OutcomeUnknownError."""
        try:
            message = await self._stream.read_out()
        except (aiohttp.ClientError, ConnectionError) as error:
            raise OutcomeUnknownError(f"exec_start: the connection to the Engine broke: {error}") from error
        return None if message is None else Piece(message.stream, message.data)

    async def write(self, typed: bytes) -> None:
        """Type. Raises OutcomeUnknownError if the connection broke."""
        try:
            await self._stream.write_in(typed)
        except aiodocker.DockerError as error:
            # The command begins with the first that is typed or read.
            raise explain("exec_start", "the Engine", error) from error
        except (aiohttp.ClientError, ConnectionError, AssertionError) as error:
            # The library asserts that there still is a connection.
            raise OutcomeUnknownError("exec_start: the connection to the Engine broke") from error

    def end_input(self) -> None:
        """Signal that nothing more will be typed."""
        # The library closes both directions at once.
        transport = self._stream._resp.connection.transport  # noqa: SLF001 - see above
        if transport is not None and transport.can_write_eof():
            transport.write_eof()

    async def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; one that cannot be given is no reason to end the session."""
        try:
            # The Engine refuses while it is still starting the command.
            async for attempt in stamina.retry_context(
                on=aiodocker.DockerError, attempts=None, timeout=_STARTED_S, wait_initial=0.02, wait_max=0.5
            ):
                with attempt:
                    await self._execution.resize(h=rows, w=columns)
        except (aiodocker.DockerError, aiohttp.ClientError) as error:
            _log.info("terminal_not_resized", reason=str(error))

    async def exit_code(self) -> int:
        """Return the command's exit code. Raises OutcomeUnknownError if it runs on."""
        deadline = asyncio.get_running_loop().time() + _ENDED_S
        while (seen := await self._execution.inspect())["Running"]:
            # Its streams close a moment before it ends, and some programs close them and go on.
            if asyncio.get_running_loop().time() > deadline:
                raise OutcomeUnknownError("exec_inspect: the command closed its output and runs on")
            await asyncio.sleep(0.05)
        return int(seen["ExitCode"])


@asynccontextmanager
async def opened(
    calls: EngineCalls, container_id: str, command: Sequence[str], *, user: str | None, terminal: str | None
) -> AsyncIterator[Session]:
    """Run a command, on a terminal of the kind that `terminal` names unless that is None.

    Raises ObjectMissingError, ConflictError if the container does not run, and PermanentError if there is no
    such command or user.
    """
    body = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": terminal is not None,
        "Cmd": list(command),
        "User": user or "",
        "Env": [f"TERM={terminal}"] if terminal else [],
    }
    made = await calls.json("exec_create", "POST", f"containers/{container_id}/exec", body=body)
    execution = Exec(await calls.client(), made["Id"], tty=terminal is not None)
    calls.count("exec_start")
    try:
        async with execution.start(detach=False) as stream:
            yield Session(execution, stream)
    except aiodocker.DockerError as error:
        raise explain("exec_start", "the Engine", error) from error
