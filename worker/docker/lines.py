"""A stream of bytes as lines of any length."""

from collections.abc import AsyncIterator


class LineTooLongError(Exception):
    """A line is longer than any real one."""


async def lines(chunks: AsyncIterator[bytes], *, longest: int) -> AsyncIterator[bytes]:
    """Yield each line without its line feed; what follows the last line feed is no line.

    aiohttp's own reader gives up at 512 kB. Raises LineTooLongError above `longest` bytes.
    """
    begun: list[bytes] = []
    size = 0
    async for chunk in chunks:
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join((*begun, end))
            begun, size = [], 0
        begun.append(rest)
        size += len(rest)
        if size > longest:
            raise LineTooLongError(f"a line has more than {longest} bytes")
