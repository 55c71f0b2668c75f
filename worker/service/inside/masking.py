"""Output of a pod as others may see it: of limited length, and without the values of its `env`. Pure.

It takes bytes and returns text. A cut never leaves a part of a value, which would then be shown unmasked.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

MASK: Final = b"***"
_SHORTEST: Final = 4
"""Bytes. Shorter values, such as `1`, `80` or `dev`, are no secrets and occur in every output."""
_SHORTEST_LINE: Final = 8
"""Bytes of one line in a value of several lines, such as a key, as only a part of it may be printed."""


class _Place(NamedTuple):
    start: int
    end: int


def secrets_in(values: Iterable[str]) -> Sequence[bytes]:
    """Return what has to be masked."""
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
    """Return the output as text, with the mask instead of what is in any of these places."""
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
