"""Measures again and again what a host's pods use, and keeps the last measurement for scrapes."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from time import monotonic
from typing import Any, Final

from worker.service.inside.totals import Totals, totals
from worker.service.inside.usage import PodsUsage
from worker.telemetry.metrics import PodsUse

_OLD_S: Final = 600.0
"""From then on a measurement says nothing any more."""


class UseWatch:
    """The last measurement, for `pinacle_pods_…`; none while the Engine does not answer."""

    def __init__(self, usage: PodsUsage, shown: PodsUse, *, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives seconds."""
        self._usage = usage
        self._clock = clock
        self._pods: Sequence[Mapping[str, Any]] = ()
        self._totals: Totals | None = None
        self._at = -inf
        self.begun_at = -inf
        """When the last measurement was begun, by the clock."""
        self._show(shown)

    async def measure(self) -> None:
        """Measure all pods once. Raises PodError."""
        self.begun_at = self._clock()
        answer = await self._usage.of_host()
        self._totals, self._pods = totals(self._pods, answer["pods"]), answer["pods"]
        self._at = self._clock()

    def _show(self, shown: PodsUse) -> None:
        shown.cpus.read = lambda: self._one(lambda known: known.cpus)
        shown.memory.read = lambda: self._one(lambda known: known.memory_bytes)
        shown.pids.read = lambda: self._one(lambda known: known.pids)
        shown.network.read = lambda: self._each(lambda known: known.network)
        shown.blocks.read = lambda: self._each(lambda known: known.blocks)
        shown.busiest.read = lambda: self._each(lambda known: known.busiest)
        shown.largest.read = lambda: self._each(lambda known: known.largest)

    def _known(self) -> Totals | None:
        return self._totals if self._clock() - self._at < _OLD_S else None

    def _one(self, of: Callable[[Totals], float | None]) -> Mapping[str, float]:
        known = self._known()
        value = None if known is None else of(known)
        return {} if value is None else {"": value}

    def _each(self, of: Callable[[Totals], Mapping[str, float]]) -> Mapping[str, float]:
        known = self._known()
        return {} if known is None else of(known)
