"""How many letters two names differ by."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], *, most: int) -> str | None:
    """Return the nearest known name that differs by at most `most` letters, None if there is none."""
    close = [(_letters(name, one), one) for one in sorted(known) if abs(len(name) - len(one)) <= most]
    distance, found = min(close, default=(most + 1, ""))
    return found if distance <= most else None


def _letters(one: str, other: str) -> int:
    """Return how many letters have to be added, left out or changed."""
    above = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        current = [row]
        for column, opposite in enumerate(other, 1):
            changed = above[column - 1] + (letter != opposite)
            current.append(min(above[column] + 1, current[-1] + 1, changed))
        above = current
    return above[-1]
