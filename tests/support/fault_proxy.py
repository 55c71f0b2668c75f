"""A small proxy on a unix socket in front of a real Engine. It can make a request fail."""

import asyncio
import re
from collections import Counter
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

_REFUSAL = b'{"message":"spoiled by the test"}'


class Fault(StrEnum):
    """What can happen to a request."""

    ERROR = "a 500"
    HANG = "no answer"
    CUT = "a cut before it arrives"
    LOST = "done, but the answer is lost"


class FaultProxy:
    """Passes every connection on, and counts requests by method and path."""

    def __init__(self, listen: Path, engine: Path) -> None:
        self.listen, self._engine = listen, engine
        self.requests: Counter[str] = Counter()
        self._next: tuple[re.Pattern[str], Fault] | None = None
        self._hanging: re.Pattern[str] | None = None
        self._slow: dict[re.Pattern[str], float] = {}
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str] = {}
        """Every connection with its request, as "METHOD /path"."""

    @property
    def url(self) -> str:
        return f"unix://{self.listen}"

    @property
    def is_armed(self) -> bool:
        """Whether the fault has not happened yet."""
        return self._next is not None

    def spoil(self, pattern: str, fault: Fault) -> None:
        """Make `fault` happen to the next request whose "METHOD /path" matches."""
        self._next = (re.compile(pattern), fault)

    def slow_down(self, pattern: str, seconds: float) -> None:
        """Let every request whose "METHOD /path" matches wait this long before it arrives."""
        self._slow[re.compile(pattern)] = seconds

    def hang(self, pattern: str) -> None:
        """Hold every request whose "METHOD /path" matches, until `relent`: none of them arrives."""
        self._hanging = re.compile(pattern)

    def relent(self) -> None:
        """Answer all requests again from now on."""
        self._hanging = None

    def break_off(self, pattern: str) -> int:
        """Cut all connections whose "METHOD /path" matches; return how many."""
        cut = [task for task, line in self._connections.items() if re.search(pattern, line)]
        for task in cut:
            task.cancel()
        return len(cut)

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._accept, self.listen)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self._connections:
            # Most end by themselves, as their callers are gone; only connections that still hang are cut.
            await asyncio.wait(self._connections, timeout=1.0)
        self.break_off("")
        await asyncio.gather(*self._connections, return_exceptions=True)
        self.listen.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = ""
        task.add_done_callback(self._connections.pop)
        try:
            # A connection that is cut ends its task: cancelling it is not an error.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            await _close(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path = head.split(b" ", 2)[:2]
        line = f"{method.decode()} {re.sub(r'^/v[0-9.]+', '', path.decode())}"
        self.requests[line] += 1
        self._connections[asyncio.current_task()] = line  # type: ignore[index]  # it runs in one
        fault = self._take(line)
        await asyncio.sleep(sum(seconds for slow, seconds in self._slow.items() if slow.search(line)))
        if fault is Fault.ERROR:
            writer.write(
                b"HTTP/1.1 500 Internal Server Error\r\n"
                b"Content-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
            )
            await writer.drain()
        elif fault is Fault.HANG or (self._hanging is not None and self._hanging.search(line)):
            await reader.read()
        elif fault is not Fault.CUT:
            await self._pass_on(head, reader, writer, lose_answer=fault is Fault.LOST)

    def _take(self, line: str) -> Fault | None:
        if self._next is None or self._next[0].search(line) is None:
            return None
        fault, self._next = self._next[1], None
        return fault

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, lose_answer: bool
    ) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine)
        upward = asyncio.create_task(_pump(reader, engine_writer))
        try:
            engine_writer.write(head)
            answer = await engine_reader.read(65536)
            while answer:
                if not lose_answer:
                    writer.write(answer)
                    await writer.drain()
                elif b"\r\n\r\n" in answer:
                    return
                answer = await engine_reader.read(65536)
        finally:
            upward.cancel()
            await asyncio.gather(upward, return_exceptions=True)
            await _close(engine_writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
