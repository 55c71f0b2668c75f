"""What this process is making or looking at just now, by the name of its base."""

from collections.abc import Iterator
from contextlib import contextmanager


class UnderWay:
    """Names that have the labels of a base and are in no record yet: they must not go with unused bases."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def names(self) -> frozenset[str]:
        return frozenset(self._names)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count a name, never used before, among them for a while."""
        self._names.add(name)
        try:
            yield
        finally:
            self._names.discard(name)
