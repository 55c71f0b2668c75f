"""Removes, on this host, what is left of pods that were deleted on another host."""

from collections.abc import Collection
from typing import Final

import structlog

from worker.errors import PodError
from worker.interfaces import Engine, Store
from worker.planner.decision import Plan
from worker.planner.plan import plan_elsewhere
from worker.planner.steps import step_name
from worker.pods.model import Installation, Record
from worker.pods.observation import Snapshot
from worker.reconcile.apply import Surroundings, apply
from worker.reconcile.leasing import leased

_log: Final = structlog.get_logger(__name__)


class Leftovers:
    """Looks for tombstones of other hosts' pods whose objects are on this host (protocol 9).

    The store is asked only when the Engine shows a pod that is not this host's. Records of other hosts are
    read here, never written.
    """

    def __init__(self, *, host: str, engine: Engine, store: Store, installation: Installation) -> None:
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation

    async def run(self, own: Collection[str], seen: Snapshot) -> None:
        """Remove what `seen` shows of deleted pods that are not in `own`; the next pass retries what fails.

        Raises StoreUnavailableError.
        """
        strange = seen.pod_ids(self._installation.name) - frozenset(own)
        if not strange:
            return
        records = await self._store.load_all()
        for pod_id in sorted(strange & records.keys()):
            if records[pod_id].host != self._host and self._plan(records[pod_id], seen).steps:
                await self._bury(pod_id, seen)

    def _plan(self, record: Record, seen: Snapshot) -> Plan:
        return plan_elsewhere(record, seen.pod(record.pod_id, frozenset()), self._installation)

    async def _bury(self, pod_id: str, seen: Snapshot) -> None:
        try:
            async with leased(self._store, pod_id):
                await self._remove(pod_id, seen)
        except PodError as error:
            _log.warning("remains_not_removed", pod_id=pod_id, reason=str(error))

    async def _remove(self, pod_id: str, seen: Snapshot) -> None:
        """Remove what is left of one pod. While this has the lease, nobody makes the pod again."""
        record = await self._store.load(pod_id)
        if record is None:
            return
        for step in self._plan(record, seen).steps:
            surroundings = Surroundings(
                engine=self._engine,
                record=record,
                seen=seen.pod(pod_id, frozenset()),
                installation=self._installation,
                incarnation="",
            )
            await apply(step, surroundings)
            _log.info("remains_removed", pod_id=pod_id, pods_host=record.host, step=step_name(step))
