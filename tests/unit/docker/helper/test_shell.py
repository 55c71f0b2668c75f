"""The shell that is kept, on a real `sh`: whatever a command prints, it is known where it ends and how."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from worker.docker.helper.shell import LOOP, Shell, ShellGoneError
from worker.docker.inside.frames import STDERR, STDOUT, Piece
from worker.errors import OutcomeUnknownError


class Local:
    """A session with a shell of this machine, as the Engine gives one in a container."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._tasks = [
            asyncio.create_task(self._hand_on(STDOUT, process.stdout)),
            asyncio.create_task(self._hand_on(STDERR, process.stderr)),
        ]

    async def read(self) -> Piece | None:
        return await self._pieces.get()

    async def write(self, typed: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(typed)
        await self.process.stdin.drain()

    async def _hand_on(self, number: int, stream: Any) -> None:
        while content := await stream.read(1000):
            await self._pieces.put(Piece(number, content))
        await self._pieces.put(None)


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    program = shutil.which("dash") or "sh"
    process = await asyncio.create_subprocess_exec(program, "-c", LOOP, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    yield Shell(Local(process), AsyncExitStack())
    if process.returncode is None:
        process.kill()
    await process.wait()


async def run(
    shell: Shell, script: str, *arguments: str, seconds: float = 10
) -> tuple[int | None, bytes, bytes]:
    ended = await shell.run(["sh", "-ec", script, "sh", *arguments], seconds=seconds)
    return ended.exit_code, ended.stdout, ended.stderr


async def test_one_command_after_another(shell: Shell) -> None:
    """With lines, quotes and what is no text in them; none reads what is typed for the next."""
    assert await run(shell, "printf 'a\nb'; echo c >&2; exit 3") == (3, b"a\nb", b"c\n")
    for argument in ("it's", "a\nb\n\n", '"$HOME" `x` \\', "", "\u00e9\u4e2d", "#"):
        assert await run(shell, 'printf %s "$1"', argument) == (0, argument.encode(), b"")
    assert await run(shell, "cat; printf '\\377\\0'") == (0, b"\xff\0", b"")
    assert await run(shell, "true") == (0, b"", b"")


async def test_much_of_both_outputs(shell: Shell) -> None:
    script = "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2"
    code, out, err = await run(shell, script)
    assert (code, len(out), len(err)) == (0, 300_000, 200_000)
    assert await run(shell, "echo next") == (0, b"next\n", b"")


async def test_what_looks_like_the_end_is_not(shell: Shell) -> None:
    script = "printf '\\n%s 0\\n' 0123456789abcdef0123456789abcdef; echo; echo 0; exit 1"
    code, out, _ = await run(shell, script)
    assert (code, out.count(b"\n")) == (1, 4)


async def test_a_command_that_does_not_end_is_given_up(shell: Shell) -> None:
    with pytest.raises(OutcomeUnknownError, match="did not end"):
        await run(shell, "sleep 5", seconds=0.2)


async def test_a_shell_that_ends_says_so(shell: Shell) -> None:
    with pytest.raises(ShellGoneError):
        await run(shell, "kill -9 $PPID")
