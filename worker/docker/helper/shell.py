"""A shell that is kept running in a container: a command in it takes a few milliseconds, another exec 50."""

import asyncio
import shlex
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol
from uuid import uuid4

from worker.docker.inside.frames import STDERR, Piece
from worker.errors import OutcomeUnknownError, OutputTooLongError
from worker.interfaces import Ended

LOOP: Final = r"""
while IFS= read -r mark && IFS= read -r size; do
    command=$(head -c "$size"; echo .)
    eval "${command%.}" < /dev/null
    printf '\n%s %s\n' "$mark" "$?"
    printf '\n%s\n' "$mark" >&2
done
"""
"""Reads commands, each with a mark that nobody else knows; says on both outputs where one has ended."""
_MOST_BYTES: Final = 16 * 2**20
_LONGEST_END: Final = 64
"""Bytes of the line that says that a command has ended."""


class Typed(Protocol):
    """A command with somebody at the other end; see `worker.docker.inside.session.Session`."""

    async def read(self) -> Piece | None:
        """Return what is printed next, None at the end of the output."""

    async def write(self, typed: bytes) -> None:
        """Type."""


class ShellGoneError(OutcomeUnknownError):
    """The shell has ended, or the connection to it broke; a command may have been done."""


class Shell:
    """One shell; it runs one command at a time. After any error it is of no more use."""

    def __init__(self, session: Typed, opened: AsyncExitStack) -> None:
        """`opened` is what has to be closed at the end."""
        self._session = session
        self._opened = opened

    async def close(self) -> None:
        """Close the session; a command under way goes on until its own deadline."""
        await self._opened.aclose()

    async def run(self, command: Sequence[str], *, seconds: float) -> Ended:
        """Run a command and wait `seconds` for it.

        Raises OutcomeUnknownError if it has not ended by then, ShellGoneError, and OutputTooLongError.
        """
        mark, text = uuid4().hex, shlex.join(command).encode()
        try:
            async with asyncio.timeout(seconds):
                await self._write(f"{mark}\n{len(text)}\n".encode() + text)
                return await self._read(mark.encode())
        except TimeoutError:
            raise OutcomeUnknownError(
                f"helper: {command[0]} did not end within {seconds:g} s; it may or may not have been done"
            ) from None

    async def _write(self, typed: bytes) -> None:
        try:
            await self._session.write(typed)
        except OutcomeUnknownError as error:
            raise ShellGoneError(str(error)) from error

    async def _read(self, mark: bytes) -> Ended:
        out, err = bytearray(), bytearray()
        while not (_has_ended(out, mark) and _has_ended(err, mark)):
            piece = await self._piece()
            kept = err if piece.stream == STDERR else out
            kept += piece.content
            if len(kept) > _MOST_BYTES:
                raise OutputTooLongError(f"helper: a command printed more than {_MOST_BYTES} bytes")
        stdout, _, code = bytes(out).rpartition(b"\n" + mark)
        stderr, _, _ = bytes(err).rpartition(b"\n" + mark)
        return Ended(exit_code=int(code), timed_out=False, stdout=stdout, stderr=stderr)

    async def _piece(self) -> Piece:
        try:
            piece = await self._session.read()
        except OutcomeUnknownError as error:
            raise ShellGoneError(str(error)) from error
        if piece is None:
            raise ShellGoneError("helper: its shell has ended; the command may have been done")
        return piece


def _has_ended(printed: bytearray, mark: bytes) -> bool:
    """Whether the last line is the one that says so."""
    return printed.endswith(b"\n") and mark in printed[-_LONGEST_END:]
