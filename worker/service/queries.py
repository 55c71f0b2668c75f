"""Questions of callers about pods: answered from the record, and if it helps from the Engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from worker.errors import PodError
from worker.host.passes import Passes
from worker.interfaces import DiskUse, Engine, Inspected, Store
from worker.planner.volumes.unprotected import Change, unprotected_paths
from worker.pods import naming
from worker.pods.model import Installation, Phase, Record
from worker.pods.observation import Snapshot
from worker.pods.results import pod_result, visible_phase
from worker.service.disk_use import disk_use
from worker.service.inside.inside import Inside
from worker.service.listing import Listing
from worker.service.moments import moment
from worker.service.patience import Patience, load_pod, no_pod
from worker.sharing import Answers

_log: Final = structlog.get_logger(__name__)
_T = TypeVar("_T")
_ALL: Final = Listing()
_READ_AT_ONCE: Final = 200
"""Records that are read for a page at least, as few of them may be what is looked for."""
_IN_TROUBLE: Final = (Phase.BACKOFF, Phase.FAILED)
_SEEN_S: Final = 1.0
"""Seconds that a question waits for the Engine to say something of a container: it says nothing while it
starts or removes that one, and other questions wait for the thread meanwhile."""
_LINES_S: Final = 3.0
"""Seconds that it waits for what a pod in trouble printed, which may be long."""


class Queries:
    """Answers questions, and writes nothing."""

    def __init__(
        self,
        *,
        host: str,
        engine: Engine,
        store: Store,
        installation: Installation,
        passes: Passes,
        inside: Inside,
        patience: Patience,
    ) -> None:
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._passes = passes
        self._inside = inside
        self._patience = patience
        self._answers = Answers()

    async def get(self, pod_id: str, *, asked_at: float | None = None) -> dict[str, Any]:
        """Return one pod, or its tombstone, as recorded. Raises PodNotFoundError if there is neither.

        `unprotected_paths` names what would be lost with its container; None if that cannot be seen.
        `asked_at` is as `Answers` has it.
        """
        return await self._answers.get(("get", pod_id), lambda: self._get(pod_id), asked_at=asked_at)

    async def _get(self, pod_id: str) -> dict[str, Any]:
        record = await self._patience.until_answered(lambda: load_pod(self._store, pod_id))
        if not record.existed and not record.purging:
            raise no_pod(pod_id)
        container, changes, last_lines, progress, use = await asyncio.gather(
            self._seen(record, self._engine.inspect),
            self._seen(record, self._engine.changes),
            self._last_lines(record),
            self._progress(record),
            self._patience.until_answered(lambda: self._store.use(record.host, record.pod_id)),
        )
        return pod_result(record) | {
            **disk_use(record, use, self._installation),
            **_times(record, container),
            "last_lines": last_lines,
            "progress": progress,
            "unprotected_paths": _unprotected(container, changes),
        }

    async def _seen(
        self, record: Record, look: Callable[[str], Awaitable[_T]], within_s: float = _SEEN_S
    ) -> _T | None:
        """Return what is seen of a container; None if it is on another host, or cannot be seen soon."""
        container_id = record.state.container_id
        if record.host != self._host or container_id is None:
            return None
        try:
            async with asyncio.timeout(within_s):
                return await look(container_id)
        except (PodError, TimeoutError) as error:
            _log.info("container_not_seen", pod_id=record.pod_id, reason=str(error) or "no answer soon")
            return None

    async def _last_lines(self, record: Record) -> str | None:
        """Return what a pod in trouble printed last: it may say why."""
        if visible_phase(record) not in _IN_TROUBLE:
            return None
        return await self._seen(record, lambda _: self._inside.last_lines(record), _LINES_S)

    async def _progress(self, record: Record) -> dict[str, Any] | None:
        """Return how far the pull has come that is under way for a pod, on whatever host."""
        found = await self._patience.until_answered(lambda: self._store.progress(record.pod_id))
        return None if found is None else asdict(found)

    async def list(self, wanted: Listing = _ALL, *, asked_at: float | None = None) -> dict[str, Any]:
        """Return pods of all hosts as recorded, tombstones left out once everything is removed.

        With a limit, `next` is where the next page begins, None after the last one. While a pass repairs pods
        of this host, `recovering` says how far it is. With `orphans` also what is on this host of pods that
        have no record. `asked_at` is as `Answers` has it.
        """
        return await self._answers.get(("list", repr(wanted)), lambda: self._list(wanted), asked_at=asked_at)

    async def _list(self, wanted: Listing) -> dict[str, Any]:
        answer = await (self._every(wanted) if wanted.limit is None else self._page(wanted, wanted.limit))
        if recovering := self._passes.recovering():
            answer["recovering"] = recovering
        if wanted.orphans:
            answer["orphans"] = await self._orphans()
        return answer

    async def _every(self, wanted: Listing) -> dict[str, Any]:
        records = await self._patience.until_answered(self._store.load_all)
        # Thousands of records take a while, and others are to be answered meanwhile.
        uses = await self._uses(records.values())
        return {"pods": await asyncio.to_thread(_results, records.values(), uses, wanted, self._installation)}

    async def _uses(self, records: Iterable[Record]) -> Mapping[str, DiskUse]:
        hosts = sorted({record.host for record in records})
        return await self._patience.until_answered(lambda: self._store.uses(hosts))

    async def _page(self, wanted: Listing, limit: int) -> dict[str, Any]:
        """Return a page; no more records are read than it takes to fill it."""
        after = wanted.after or ""
        ids = [each for each in await self._patience.until_answered(self._store.pod_ids) if each > after]
        pods: list[dict[str, Any]] = []
        size = max(limit + 1, _READ_AT_ONCE)
        while ids and len(pods) <= limit:
            some, ids = ids[:size], ids[size:]
            records = await self._patience.until_answered(partial(self._store.load_some, some))
            uses = await self._uses(records.values())
            pods += await asyncio.to_thread(_results, records.values(), uses, wanted, self._installation)
        more = len(pods) > limit
        return {"pods": pods[:limit], "next": pods[limit - 1]["pod_id"] if more else None}

    async def _orphans(self) -> Sequence[dict[str, Any]]:
        records = await self._patience.until_answered(self._store.load_all)
        seen = await self._patience.until_answered(self._engine.observe_all)
        unknown = seen.pod_ids(self._installation.name) - records.keys()
        return [self._orphan(pod_id, seen) for pod_id in sorted(unknown)]

    def _orphan(self, pod_id: str, seen: Snapshot) -> dict[str, Any]:
        container = seen.containers.get(naming.container_name(pod_id)) or next(
            iter(seen.by_pod.get(pod_id, ())), None
        )
        return {
            "pod_id": pod_id,
            "host": self._host,
            "container": None if container is None else container.state.value,
            "volumes": sorted(seen.labelled.get(pod_id, ())),
        }


def _results(
    records: Iterable[Record], uses: Mapping[str, DiskUse], wanted: Listing, own: Installation
) -> Sequence[dict[str, Any]]:
    in_order = sorted(records, key=lambda record: record.pod_id)
    shown = (wanted.of(record, own, uses.get(record.pod_id)) for record in in_order)
    return [pod for pod in shown if pod is not None]


def _times(record: Record, container: Inspected | None) -> dict[str, str | None]:
    """Return when the container was started, and when it ended if it does not run."""
    started, finished = (
        (0.0, 0.0) if container is None else (container.exit.started_at, container.exit.finished_at)
    )
    # Not by comparing the two: of a run that ended at once the Engine may note the start after the end.
    ended = 0.0 if visible_phase(record) is Phase.RUNNING else finished
    return {"started_at": moment(started), "finished_at": moment(ended)}


def _unprotected(container: Inspected | None, changes: Sequence[Change] | None) -> Sequence[str] | None:
    # By what is mounted rather than by the layout: a volume that the container does not mount protects
    # nothing, and one whose path leads over a link of the image is mounted where the link leads.
    if container is None or changes is None:
        return None
    return unprotected_paths(changes, container.mounted)
