"""A pass: look at all pods of this host with two Engine calls, and repair those that need it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Final

import structlog

from worker.errors import RetryableError
from worker.host.base_cleanup import BaseCleanup
from worker.host.leftovers import Leftovers
from worker.host.pool_guard import PoolGuard
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.host.template_cleanup import TemplateCleanup
from worker.interfaces import UNOBSERVED, Engine, Observer, PassReport, Store
from worker.planner.backoff import leaves_to_time
from worker.planner.decision import Plan
from worker.planner.plan import plan
from worker.pods.layout import full_names
from worker.pods.model import Installation, Phase, PodState, Record
from worker.pods.results import visible_phase
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Seen
from worker.sharing import Shared

_log: Final = structlog.get_logger(__name__)
_PROGRESS_EVERY_S: Final = 5.0
_PLANS_AT_ONCE: Final = 20


@dataclass(frozen=True, kw_only=True)
class PassResult:
    """What one pass found, and how far its repairs came while it waited for them."""

    host: str
    pods: int
    repairs: int
    """Pods that were not as they should be."""
    repaired: int
    pending: int
    failed: int
    duration_ms: float

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


class Passes:
    """Runs passes over one host, one at a time."""

    def __init__(
        self,
        *,
        host: str,
        engine: Engine,
        store: Store,
        dispatcher: Dispatcher,
        guard: StorageGuard,
        pool_guard: PoolGuard,
        rebuild: Rebuild,
        leftovers: Leftovers,
        base_cleanup: BaseCleanup,
        template_cleanup: TemplateCleanup,
        installation: Installation,
        clock: Callable[[], float],
        observer: Observer = UNOBSERVED,
    ) -> None:
        self._host = host
        self._engine = engine
        self._store = store
        self._dispatcher = dispatcher
        self._guard = guard
        self._pool_guard = pool_guard
        self._rebuild = rebuild
        self._leftovers = leftovers
        self._base_cleanup = base_cleanup
        self._template_cleanup = template_cleanup
        self._installation = installation
        self._clock = clock
        self._observer = observer
        self.begun_at = -inf
        """When the last pass began, by the monotonic clock."""
        self._looks = Shared(self._look)
        self._is_over = False
        self._unreadable: frozenset[str] = frozenset()
        """Pods whose record could not be read in the last pass."""
        self._under_way: set[str] = set()
        """Pods whose repair is not done."""
        self._total = 0
        """How many repairs there were since the last time when none was left."""

    def recovering(self) -> dict[str, Any]:
        """Return how far the repairs of this host have come; empty while there are none."""
        return (
            {"host": self._host, "repairs": self._total, "left": left}
            if (left := len(self._under_way))
            else {}
        )

    async def run(self, *, wait_s: float) -> PassResult:
        """Look at all pods and start the repairs; wait for the repairs at most `wait_s`.

        Raises EngineUnavailableError or OutcomeUnknownError if the Engine does not answer: then nothing is
        known, and nothing is done.
        """
        with self._observer.passing():
            return await self._run(wait_s)

    async def _run(self, wait_s: float) -> PassResult:
        began = self.begun_at = monotonic()
        records, due = await self._look_with_others()
        phases = await self._repair_all(due, wait_s)
        seconds = monotonic() - began
        result = PassResult(
            host=self._host,
            pods=sum(record.exists for record in records),
            repairs=len(due),
            repaired=sum(phase not in {None, Phase.FAILED, Phase.STORAGE_MISSING} for phase in phases),
            pending=phases.count(None),
            failed=sum(phase in {Phase.FAILED, Phase.STORAGE_MISSING} for phase in phases),
            duration_ms=round(seconds * 1000, 1),
        )
        _log.log(20 if due else 10, "pass_finished", **result.as_json())
        self._observer.pass_ended(
            PassReport(
                began=began,
                seconds=seconds,
                phases=_count(records, due, phases),
                storage_accepted=self._guard.is_accepted,
                told=result.as_json(),
            )
        )
        return result

    async def let_go(self) -> None:
        """Begin no further look; all callers that wait for one get an error that this process ends."""
        self._is_over = True
        await self._looks.close()

    async def _look_with_others(self) -> tuple[list[Record], list[Seen]]:
        """Look once for all callers that ask while a look is under way, however long that takes."""
        if self._is_over:
            raise _ending()
        try:
            return await self._looks.get()
        except asyncio.CancelledError:
            # Either the look was cancelled, or the caller was.
            if not self._is_over or (task := asyncio.current_task()) is None or task.cancelling():
                raise
            raise _ending() from None

    async def _look(self) -> tuple[list[Record], list[Seen]]:
        """Return all records, and what was seen of the pods that need repairs.

        Records first, Engine second: what changes a pod between the two changes its record too, and a
        reconcile does not use what was seen beside another record.
        """
        await self._rebuild.run()
        records = await self._store.load_host(self._host)
        self._tell_unreadable(records)
        await self._pool_guard.open(records.values())
        snapshot = await self._engine.observe_all()
        snapshot = await self._guard.check(records.values(), snapshot)
        if self._guard.is_accepted:
            await self._leftovers.run(records, snapshot)
            await self._base_cleanup.run(records.values(), snapshot)
            await self._template_cleanup.run(records.values(), snapshot)
        if self._guard.is_taken:
            return list(records.values()), []
        now = self._clock()
        due = []
        # What follows makes no Engine call: a pass that finds nothing to do makes two calls, however many
        # pods the host has (protocol 11).
        for number, record in enumerate(records.values()):
            if number % _PLANS_AT_ONCE == 0:
                await asyncio.sleep(0)  # Let other work have a turn.
            if leaves_to_time(record, now):
                continue
            seen = snapshot.pod(record.pod_id, full_names(record.pod_id, record.state))
            decided = plan(record, seen, now, self._installation)
            if decided.steps or not _says(record.state, decided):
                due.append(Seen(record=record, observation=seen))
        # The pods that were asked for last are probably in use, so they come first.
        return list(records.values()), sorted(due, key=lambda seen: -seen.record.intent.accepted_at)

    def _tell_unreadable(self, records: Mapping[str, Record]) -> None:
        """Log each record that cannot be read, once."""
        found = {pod_id: record for pod_id, record in records.items() if record.unreadable is not None}
        for pod_id in found.keys() - self._unreadable:
            _log.error("record_unreadable", pod_id=pod_id, reason=found[pod_id].state.reason)
        self._unreadable = frozenset(found)

    async def _repair_all(self, due: list[Seen], wait_s: float) -> list[Phase | None]:
        """Repair in this order, many at the same time, and log the progress while that takes long."""
        new = {seen.record.pod_id for seen in due} - self._under_way
        self._under_way |= new
        self._total += len(new)
        reporter = asyncio.create_task(self._report_progress())
        try:
            return await asyncio.gather(*(self._repair(seen, wait_s) for seen in due))
        finally:
            reporter.cancel()
            if not self._under_way:
                self._total = 0

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_EVERY_S)
            _log.info("pods_recovering", **self.recovering())

    async def _repair(self, seen: Seen, wait_s: float) -> Phase | None:
        try:
            return await self._settle(seen, wait_s)
        finally:
            self._under_way.discard(seen.record.pod_id)

    async def _settle(self, seen: Seen, wait_s: float) -> Phase | None:
        record = seen.record
        outcome = await self._dispatcher.settle(
            record.pod_id, record.intent.generation, timeout_s=wait_s, seen=seen, urgent=False
        )
        return None if outcome is None else outcome.record.state.phase


def _ending() -> RetryableError:
    return RetryableError("this worker is about to end; ask again, and the next worker makes the pass")


def _count(records: list[Record], due: list[Seen], reached: list[Phase | None]) -> Counter[Phase]:
    """Count the pods in each phase; one whose repair is not done is `pending`."""
    now = {record.pod_id: visible_phase(record) for record in records}
    for seen, phase in zip(due, reached, strict=True):
        now[seen.record.pod_id] = phase or Phase.PENDING
    return Counter(now.values())


def _says(state: PodState, decided: Plan) -> bool:
    """Whether a record says where its pod stands. An older worker notes no kind, or leaves one that was."""
    if decided.phase is Phase.FAILED and state.kind != decided.kind:
        return False
    return (state.phase, state.reason) == (decided.phase, decided.reason)
