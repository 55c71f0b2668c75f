"""What a pod printed, as others may see it: bounded, and without the values of its `env`. Pure.

Bytes in, text out. A cut never leaves a part of a value behind: it would be shown as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

MASK: Final = b"***"
_SHORTEST: Final = 4
"""Bytes. Shorter values are no secrets, and are in every output: `1`, `80`, `dev`."""
_SHORTEST_LINE: Final = 8
"""Bytes of a line of a value of several lines, such as a key: a part of it may be printed."""


class _Place(NamedTuple):
    start: int
    end: int


def secrets_in(values: Iterable[str]) -> Sequence[bytes]:
    """Return what is to be masked."""
    found: set[bytes] = set()
    for value in values:
        whole = value.encode(errors="surrogateescape")
        lines = whole.splitlines()
        if len(whole) >= _SHORTEST:
            found.add(whole)
        if len(lines) > 1:
            found.update(line for line in lines if len(line) >= _SHORTEST_LINE)
    return sorted(found)


def beginning(printed: bytes, secrets: Sequence[bytes], most: int) -> tuple[str, bool]:
    """Return the first `most` bytes of what was printed, masked, and whether that is all."""
    cut = printed[:most]
    is_whole = len(cut) == len(printed)
    begun = () if is_whole else (_begun_at_the_end(cut, secret) for secret in secrets)
    return _masked(cut, [*_places(cut, secrets), *begun]), is_whole


def ending(printed: bytes, secrets: Sequence[bytes], most: int) -> tuple[str, bool]:
    """Return the last `most` bytes of what was printed, masked, and whether that is all."""
    cut = printed[-most:]
    is_whole = len(cut) == len(printed)
    ended = () if is_whole else (_ended_at_the_beginning(cut, secret) for secret in secrets)
    return _masked(cut, [*_places(cut, secrets), *ended]), is_whole


def _masked(printed: bytes, places: Iterable[_Place]) -> str:
    """Return what was printed as text, with the mask in place of what lies in any of these places."""
    shown, end = bytearray(), 0
    for place in sorted(place for place in places if place.start < place.end):
        if place.start > end or not shown:
            shown += printed[end : place.start] + MASK
        end = max(end, place.end)
    return bytes(shown + printed[end:]).decode(errors="replace")


def _places(printed: bytes, secrets: Sequence[bytes]) -> Iterator[_Place]:
    """Yield where secrets are; one may overlap another, or itself."""
    for secret in secrets:
        start = printed.find(secret)
        while start >= 0:
            yield _Place(start, start + len(secret))
            start = printed.find(secret, start + 1)


def _begun_at_the_end(cut: bytes, secret: bytes) -> _Place:
    lengths = range(min(len(secret) - 1, len(cut)), 0, -1)
    length = next((each for each in lengths if cut.endswith(secret[:each])), 0)
    return _Place(len(cut) - length, len(cut))


def _ended_at_the_beginning(cut: bytes, secret: bytes) -> _Place:
    lengths = range(min(len(secret) - 1, len(cut)), 0, -1)
    return _Place(0, next((each for each in lengths if cut.startswith(secret[-each:])), 0))
