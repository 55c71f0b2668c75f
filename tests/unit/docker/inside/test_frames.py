"""Frames of a container's output, however the connection cuts them."""

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from worker.docker.inside.frames import STDERR, STDOUT, pieces


def framed(stream: int, content: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


async def _chunks(sent: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(sent), size):
        yield sent[start : start + size]


def _read(sent: bytes, size: int) -> dict[int, bytes]:
    async def read() -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        async for piece in pieces(_chunks(sent, size)):
            found[piece.stream] = found.get(piece.stream, b"") + piece.content
        return found

    return asyncio.run(read())


@given(
    frames=st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=30)), max_size=6),
    size=st.integers(1, 40),
)
def test_whatever_the_chunks_each_stream_has_its_own_bytes(
    frames: list[tuple[int, bytes]], size: int
) -> None:
    sent = b"".join(framed(stream, content) for stream, content in frames)
    wanted: dict[int, bytes] = {}
    for stream, content in frames:
        if content:
            wanted[stream] = wanted.get(stream, b"") + content
    assert _read(sent, size) == wanted


def test_a_frame_that_is_cut_off_gives_what_came() -> None:
    assert _read(framed(STDOUT, b"whole")[:-2], 3) == {STDOUT: b"who"}
