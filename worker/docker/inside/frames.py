"""Output of a container without a terminal, as the Engine sends it: in frames, each from one stream."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple

STDOUT: Final = 1
STDERR: Final = 2
_HEADER: Final = 8
"""Bytes: the stream, three zeros, and how many bytes follow, the most significant first."""


class Piece(NamedTuple):
    """A part of a frame."""

    stream: int
    content: bytes


async def pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    """Yield the content of frames as it comes, however long they are and however chunks cut them."""
    header, stream, missing = b"", STDOUT, 0
    async for chunk in chunks:
        rest = chunk
        while rest:
            if missing:
                content, rest = rest[:missing], rest[missing:]
                missing -= len(content)
                yield Piece(stream, content)
                continue
            wanted = _HEADER - len(header)
            header, rest = header + rest[:wanted], rest[wanted:]
            if len(header) == _HEADER:
                stream, missing, header = header[0], int.from_bytes(header[4:], "big"), b""
