"""Measures again and again how much each pod of a host has on the disk, and keeps the last measurement."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from math import inf
from time import monotonic, time
from typing import Final

import structlog

from worker.interfaces import Store
from worker.planner.volumes.pointers import is_pointer
from worker.pods.model import Record
from worker.pods.naming import volume_name

_log: Final = structlog.get_logger(__name__)
_SHARE: Final = 20
"""A measurement is followed by a pause of at least so many times as long as it took."""

Measure = Callable[[Collection[str]], Awaitable[Mapping[str, int | None] | None]]
"""Returns bytes by volumes' full names, None for one that is not known; None if they cannot be seen."""


@dataclass(frozen=True, kw_only=True)
class OnDisk:
    """What a pod has on the disk."""

    used: int
    measured_at: float
    """Seconds since the epoch."""


class DiskWatch:
    """The last measurement of each pod of a host."""

    def __init__(
        self,
        *,
        host: str,
        store: Store,
        measure: Measure,
        every_s: float,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        """`every_s` is the shortest time from the beginning of one to that of the next."""
        self._host = host
        self._store = store
        self._measure = measure
        self._every_s = every_s
        self._clock = clock
        self._wall = wall
        self._found: Mapping[str, OnDisk] | None = None
        self._is_blind = False
        self.due_at = -inf
        """When the next one is due, by the clock."""

    def of(self, pod_id: str) -> OnDisk | None:
        """Return what a pod had on the disk when that was measured last; None if nobody knows."""
        return None if self._found is None else self._found.get(pod_id)

    def total(self) -> int | None:
        """Return the bytes of all pods; None if nobody knows."""
        return None if self._found is None else sum(each.used for each in self._found.values())

    async def measure(self) -> None:
        """Measure all pods once. Raises PodError; then the last measurement stays."""
        began = self._clock()
        self.due_at = began + self._every_s
        records = await self._store.load_host(self._host)
        names = {pod_id: volumes_on_disk(record) for pod_id, record in records.items() if record.exists}
        sizes = await self._measure([name for each in names.values() for name in each])
        took, now = self._clock() - began, self._wall()
        self.due_at = max(self.due_at, began + took * (1 + _SHARE))
        self._tell(sizes is None)
        self._found = None if sizes is None else _pods(names, sizes, measured_at=now)

    def _tell(self, is_blind: bool) -> None:  # noqa: FBT001 - said once, here
        if is_blind and not self._is_blind:
            _log.info("disk_use_unknown", reason="this worker does not see the Engine's disk as root")
        self._is_blind = is_blind


def _pods(
    names: Mapping[str, Collection[str]], sizes: Mapping[str, int | None], *, measured_at: float
) -> dict[str, OnDisk]:
    """Return what each pod has, except for pods of which no volume is there, or one is not known."""
    found = {}
    for pod_id, each in names.items():
        there = [sizes[name] for name in each if name in sizes]
        known = [size for size in there if size is not None]
        if there and len(known) == len(there):
            found[pod_id] = OnDisk(used=sum(known), measured_at=measured_at)
    return found


def volumes_on_disk(record: Record) -> tuple[str, ...]:
    """Return the full names of the volumes that hold a pod's data; an overlay only shows what others hold."""
    held = (each for each in record.state.layout if not is_pointer(record.state.system, each))
    return tuple(volume_name(record.pod_id, each.name) for each in held)
