"""What nobody has used for a while."""

from collections.abc import Callable, Collection, Mapping
from time import monotonic


class Unused:
    """Remembers since when things are unused, by name."""

    def __init__(self, *, grace_s: float, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives seconds and is monotonic."""
        self._grace_s = grace_s
        self._clock = clock
        self._since: Mapping[str, float] = {}

    def long(self, unused: Collection[str]) -> list[str]:
        """Return what was unused at every look for the whole grace time, and at two looks at least."""
        now, before = self._clock(), self._since
        self._since = {name: before.get(name, now) for name in unused}
        # No record names what was made after the records were read, so this takes two looks.
        return [
            name for name, since in self._since.items() if name in before and now - since >= self._grace_s
        ]
