"""A stream of bytes is cut into lines, however it arrives and however long they are."""

from collections.abc import AsyncIterator

import pytest

from worker.docker.lines import LineTooLongError, lines


async def cut(*chunks: bytes, longest: int = 10**7) -> list[bytes]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [line async for line in lines(arriving(), longest=longest)]


async def test_lines_are_found_wherever_the_stream_is_cut() -> None:
    text = b"one\ntwo\n\nthree\n"
    for size in range(1, len(text)):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        assert await cut(*chunks) == [b"one", b"two", b"", b"three"]


async def test_a_line_may_be_longer_than_a_readers_buffer() -> None:
    """The reader of lines in aiohttp gives up at 524,288 bytes."""
    long = b"x" * 5_000_000
    assert await cut(long, b"\nnext\n") == [long, b"next"]


async def test_what_the_stream_breaks_off_in_is_no_line() -> None:
    assert await cut(b"whole\nhal") == [b"whole"]


async def test_a_line_without_any_end_is_given_up() -> None:
    with pytest.raises(LineTooLongError):
        await cut(*([b"x" * 10] * 20), longest=100)
