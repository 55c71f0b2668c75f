"""What this process is making or looking at just now, by the name in its labels."""

from collections.abc import Iterator
from contextlib import contextmanager


class UnderWay:
    """Names in the labels of bases that no record knows yet: they must not be removed as unused bases."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def names(self) -> frozenset[str]:
        return frozenset(self._names)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep a name, never used before, among them for a while."""
        self._names.add(name)
        try:
            yield
        finally:
            self._names.discard(name)
