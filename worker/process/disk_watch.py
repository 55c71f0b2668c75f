"""Measures again and again how much each pod of a host has on the disk, and keeps the last measurement."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from math import inf
from time import monotonic, time
from typing import Final

import structlog

from worker.errors import PodError
from worker.interfaces import DiskUse, Store
from worker.planner.host.over_quota import over_quota
from worker.planner.volumes.pointers import is_pointer
from worker.planner.volumes.pooled.subvolume import is_pooled
from worker.pods.model import Installation, Record
from worker.pods.naming import volume_name
from worker.pods.observation import ObservedSize

_log: Final = structlog.get_logger(__name__)
_SHARE: Final = 20
"""A measurement is followed by a pause of at least so many times as long as it took."""

_KEPT_TURNS: Final = 5
WARNED: Final = (0.8, 0.95)
"""Shares of its limit at which it is said that a pod is near it."""

Measure = Callable[[Collection[str]], Awaitable[Mapping[str, int | None] | None]]
"""Returns bytes by volumes' full names, None for one that is not known; None if they cannot be seen."""


Stop = Callable[[str, str], Awaitable[object]]
"""Has a pod stopped, by its id, and says why."""
Sizes = Callable[[], Awaitable[Mapping[str, ObservedSize]]]
"""Returns what pods on a pool keep and may keep, by pod."""


class DiskWatch:
    """The last measurement of each pod of a host."""

    def __init__(
        self,
        *,
        host: str,
        store: Store,
        measure: Measure,
        installation: Installation,
        every_s: float,
        on_pool: Sizes | None = None,
        stop: Stop | None = None,
        grace_s: float = 0.0,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        """`every_s` is the shortest time from the beginning of one to that of the next.

        `on_pool` is None on a host without a pool. With `stop`, pods that keep more than they may are
        stopped, as `over_quota` has it.
        """
        self._host = host
        self._store = store
        self._measure = measure
        self._installation = installation
        self._every_s = every_s
        self._on_pool = on_pool
        self._stop, self._grace_s = stop, grace_s
        self._clock = clock
        self._wall = wall
        self._found: Mapping[str, DiskUse] | None = None
        self._is_blind = False
        self.due_at = -inf
        """When the next one is due, by the clock."""

    def of(self, pod_id: str) -> DiskUse | None:
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
        there = {pod_id: record for pod_id, record in records.items() if record.exists}
        walked = [name for record in there.values() for name in volumes_on_disk(record)]
        # On a pool nothing has to be walked through.
        sizes = await self._measure(walked) if walked else {}
        took, now = self._clock() - began, self._wall()
        self.due_at = max(self.due_at, began + took * (1 + _SHARE))
        self._tell(sizes is None)
        pooled = await self._pooled(records, measured_at=now)
        if sizes is None and not pooled:
            self._found = None
            return
        found = pooled | self._walked(there, sizes or {}, measured_at=now)
        self._warn(found)
        self._found = found
        await self._store.note_uses(self._host, found, self._keep_s(took))
        await self._stop_those_over(there, found, now)

    async def _stop_those_over(
        self, records: Mapping[str, Record], found: Mapping[str, DiskUse], now: float
    ) -> None:
        if self._stop is None:
            return
        sizes = {pod_id: ObservedSize(used=use.used, limit=use.limit) for pod_id, use in found.items()}
        for pod_id, reason in over_quota(records, sizes, now, self._grace_s).items():
            try:
                fresh = await self._store.load(pod_id)
                # It took a while: whoever has asked for something since may have another tier, or made room.
                if fresh is not None and fresh.intent.generation == records[pod_id].intent.generation:
                    _log.warning("pod_over_its_limit_stopped", pod_id=pod_id, reason=reason)
                    await self._stop(pod_id, reason)
            except PodError as error:
                # The next measurement finds it again, and others are to be stopped too.
                _log.warning("pod_not_stopped", pod_id=pod_id, reason=str(error))

    def _keep_s(self, took: float) -> float:
        """Return for how long a measurement is told if no other comes: the last one is better than none."""
        return _KEPT_TURNS * max(self._every_s, took * (1 + _SHARE))

    async def _pooled(self, records: Mapping[str, Record], *, measured_at: float) -> dict[str, DiskUse]:
        """Return what the pods on the host's pool keep; if it cannot be asked, nothing is known of them."""
        there = {pod_id for pod_id, each in records.items() if each.exists and is_pooled(each.state.system)}
        if self._on_pool is None or not there:
            return {}
        try:
            sizes = await self._on_pool()
        except PodError as error:
            _log.info("pool_use_unknown", reason=str(error))
            return {}
        return {
            pod_id: DiskUse(used=size.used, limit=size.limit, measured_at=measured_at)
            for pod_id, size in sizes.items()
            if pod_id in there
        }

    def _walked(
        self, records: Mapping[str, Record], sizes: Mapping[str, int | None], *, measured_at: float
    ) -> dict[str, DiskUse]:
        """Return what pods have in Docker's own volumes; nothing ends them at their limits."""
        return {
            pod_id: DiskUse(used=used, limit=self._limit(records[pod_id]), measured_at=measured_at)
            for pod_id, used in _sums(records, sizes).items()
        }

    def _limit(self, record: Record) -> int | None:
        spec = record.intent.spec
        return None if spec is None else self._installation.storage_limit(spec.tier)

    def _warn(self, found: Mapping[str, DiskUse]) -> None:
        """Log each pod that has come near its limit since the last time."""
        for pod_id, use in found.items():
            before = self._found.get(pod_id) if self._found is not None else None
            share, was = _share(use), 0.0 if before is None else _share(before)
            passed = [level for level in WARNED if was < level <= share]
            if passed:
                _log.warning(
                    "pod_near_its_limit",
                    pod_id=pod_id,
                    percent=round(100 * share),
                    used_bytes=use.used,
                    limit_bytes=use.limit,
                )

    def near_limit(self) -> Mapping[str, float]:
        """Return how many pods keep so many percent of what they may keep, or more."""
        shares = [_share(use) for use in (self._found or {}).values()]
        return {f"{100 * level:g}": float(sum(share >= level for share in shares)) for level in WARNED}

    def _tell(self, is_blind: bool) -> None:  # noqa: FBT001 - said once, here
        if is_blind and not self._is_blind:
            _log.info("disk_use_unknown", reason="this worker does not see the Engine's disk as root")
        self._is_blind = is_blind


def _share(use: DiskUse) -> float:
    return use.used / use.limit if use.limit else 0.0


def _sums(records: Mapping[str, Record], sizes: Mapping[str, int | None]) -> dict[str, int]:
    """Return what each pod has, except for pods of which no volume is there, or one is not known."""
    found = {}
    for pod_id, record in records.items():
        there = [sizes[name] for name in volumes_on_disk(record) if name in sizes]
        known = [size for size in there if size is not None]
        if there and len(known) == len(there):
            found[pod_id] = sum(known)
    return found


def volumes_on_disk(record: Record) -> tuple[str, ...]:
    """Return the full names of the volumes that hold a pod's data; an overlay only shows what others hold."""
    held = (each for each in record.state.layout if not is_pointer(record.state.system, each))
    return tuple(volume_name(record.pod_id, each.name) for each in held)
