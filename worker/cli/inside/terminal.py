"""The person's end of a session: what is typed is sent to the pod, and what the pod prints is shown."""

import asyncio
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from worker.docker.inside.frames import STDERR
from worker.docker.inside.session import Session

_PIECE: Final = 65536
_INPUT: Final = 0


def is_terminal() -> bool:
    """Whether both standard input and standard output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


async def joined(session: Session, *, on_terminal: bool) -> int:
    """Pass everything on until the command ends; return its exit code.

    On a terminal, each key is sent to the pod, even Ctrl-C; afterwards the terminal is as before.
    """
    if not on_terminal:
        return await _passed_on(session)
    with _raw(), _resized(session) as first:
        return await _passed_on(session, first)


async def _passed_on(session: Session, sized: asyncio.Task[None] | None = None) -> int:
    """Pass everything on; what is typed only once the terminal has its size, which programs may ask for."""
    typing = asyncio.create_task(_type(session, sized))
    try:
        while (piece := await session.read()) is not None:
            shown = sys.stderr.buffer if piece.stream == STDERR else sys.stdout.buffer
            shown.write(piece.content)
            shown.flush()
    finally:
        typing.cancel()
    return await session.exit_code()


async def _type(session: Session, sized: asyncio.Task[None] | None) -> None:
    if sized is not None:
        await asyncio.wait([sized])
    typed = _typed(asyncio.get_running_loop())
    while piece := await typed.get():
        await session.write(piece)
    session.end_input()


def _typed(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[bytes]:
    """Return standard input, piece by piece; an empty piece is its end.

    A thread reads it, as an event loop cannot wait for files. The thread ends with the process, as nothing
    interrupts a read.
    """
    found: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        piece = b" "
        while piece:
            piece = os.read(_INPUT, _PIECE)
            loop.call_soon_threadsafe(found.put_nowait, piece)

    threading.Thread(target=read, daemon=True).start()
    return found


@contextmanager
def _raw() -> Iterator[None]:
    """Put the terminal into raw mode, to get each key as it is typed."""
    before = termios.tcgetattr(_INPUT)
    tty.setraw(_INPUT)
    try:
        yield
    finally:
        termios.tcsetattr(_INPUT, termios.TCSADRAIN, before)


@contextmanager
def _resized(session: Session) -> Iterator[asyncio.Task[None]]:
    """Keep the pod's terminal as large as the person's, even if that changes."""
    loop = asyncio.get_running_loop()
    under_way: set[asyncio.Task[None]] = set()

    def resize() -> asyncio.Task[None]:
        # Not what COLUMNS and LINES say: they stay as they are when the terminal changes.
        size = os.get_terminal_size(sys.stdout.fileno())
        # Kept, as a task without a reference may be collected before it is done.
        task = loop.create_task(session.resize(size.lines, size.columns))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return task

    first = resize()
    loop.add_signal_handler(signal.SIGWINCH, resize)
    try:
        yield first
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
