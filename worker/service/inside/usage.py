"""Answers what pods use: one pod, or all running ones of a host. Nothing is recorded."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

from worker.errors import HostAwayError, NotRunningError, ObjectMissingError, PodError
from worker.interfaces import DiskUse, Meter, Store
from worker.pods.model import Installation, Phase, Record
from worker.pods.results import visible_phase
from worker.service.disk_use import disk_use
from worker.service.examination import Forward
from worker.service.patience import Patience, load_pod, no_pod
from worker.sharing import Shared

_AT_ONCE: Final = 64
"""Readings under way at a time. Engine 20.10 takes a second for each, in which it only waits."""
_ALL_S: Final = 20.0
"""Seconds for all pods of a host; what was not measured by then is named."""


class PodsUsage:
    """Answers on the host that has the pods. Raises PodError."""

    def __init__(
        self,
        *,
        host: str,
        store: Store,
        meter: Meter,
        patience: Patience,
        installation: Installation,
        on_disk: Callable[[str], DiskUse | None] = lambda _pod_id: None,
        all_s: float = _ALL_S,
    ) -> None:
        """`on_disk` gives what a pod has on the disk, if that was measured.

        `all_s` is how long all pods of a host may take, in seconds.
        """
        self._host = host
        self._store = store
        self._meter = meter
        self._patience = patience
        self._installation = installation
        self._on_disk = on_disk
        self._all_s = all_s
        # However many callers ask, the Engine is asked about each pod once at a time.
        self._shared = Shared(self._of_host)

    async def close(self) -> None:
        """End what is under way."""
        await self._shared.close()

    async def of_pod(self, pod_id: str) -> dict[str, Any] | Forward:
        """Return what one pod uses, or the host that has to answer.

        Raises PodNotFoundError, HostAwayError, NotRunningError.
        """
        record = await self._patience.until_answered(lambda: load_pod(self._store, pod_id))
        if not record.exists:
            raise no_pod(pod_id)
        if record.host != self._host:
            if record.host in await self._store.live_hosts():
                return Forward(host=record.host, accepted=False)
            raise HostAwayError(
                f"pod_id: pod {pod_id!r} is on host {record.host}, which has no heartbeat; "
                "try again once its worker is back"
            )
        return {"host": self._host, "pods": [await self._measured(record)], "unmeasured": []}

    async def of_host(self) -> dict[str, Any]:
        """Return what each running pod of this host uses; `unmeasured` names those that were not measured.

        Callers that ask at the same time share the answer.
        """
        return await self._shared.get()

    async def _of_host(self) -> dict[str, Any]:
        records = await self._patience.until_answered(self._store.load_all)
        running = sorted(
            (each for each in records.values() if each.host == self._host and _runs(each)),
            key=lambda record: record.pod_id,
        )
        pods: dict[str, dict[str, Any]] = {}
        reasons: dict[str, str] = {}
        turns = asyncio.Semaphore(_AT_ONCE)

        async def measure(record: Record) -> None:
            async with turns:
                try:
                    pods[record.pod_id] = await self._measured(record)
                except PodError as error:
                    reasons[record.pod_id] = str(error)

        try:
            async with asyncio.timeout(self._all_s), asyncio.TaskGroup() as group:
                for record in running:
                    group.create_task(measure(record))
        except TimeoutError:
            late = f"not measured within {self._all_s:g} s, together with the other pods of this host"
            reasons |= {
                each.pod_id: late for each in running if each.pod_id not in pods.keys() | reasons.keys()
            }
        return {
            "host": self._host,
            "pods": [pods[each] for each in sorted(pods)],
            "unmeasured": [{"pod_id": each, "reason": reasons[each]} for each in sorted(reasons)],
        }

    async def _measured(self, record: Record) -> dict[str, Any]:
        container_id = record.state.container_id
        if container_id is None:
            raise NotRunningError(
                f"pod_id: pod {record.pod_id!r} has no container yet; try again once it runs"
            )
        try:
            usage = await self._meter.usage(container_id, deadline_s=self._all_s)
        except ObjectMissingError as error:
            raise NotRunningError(
                f"pod_id: the container of pod {record.pod_id!r} is gone, and it gets another one soon; "
                "try again"
            ) from error
        return {
            "pod_id": record.pod_id,
            "restarts": record.state.restarts,
            **asdict(usage),
            **disk_use(record, self._on_disk(record.pod_id), self._installation),
        }


def _runs(record: Record) -> bool:
    return record.exists and visible_phase(record) is Phase.RUNNING
