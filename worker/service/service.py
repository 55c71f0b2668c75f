"""Accept an intent, then reconcile that pod: what every task does."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import stamina
import structlog

from worker.errors import (
    EngineUnavailableError,
    GenerationConflictError,
    HostsSilentError,
    OutcomeUnknownError,
    PodError,
    PodNotFoundError,
    PoisonedTaskError,
    RemovalUnfinishedError,
    StoreUnavailableError,
)
from worker.host.passes import Passes
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.interfaces import Engine, Proposal, Store
from worker.planner.host.renaming import renamed_problem
from worker.planner.volumes.unprotected import unprotected_paths
from worker.pods import naming
from worker.pods.model import Intent, Phase, Record
from worker.pods.observation import Snapshot
from worker.pods.policy import check_policy, check_runtime
from worker.pods.requests import (
    Create,
    Delete,
    Request,
    Resolved,
    Stop,
    Update,
    brings_spec,
    check,
    intent_for,
    replaces,
)
from worker.pods.results import pod_result
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Seen
from worker.service.preflight import Preflight

_log: Final = structlog.get_logger(__name__)
_PASSING: Final = (
    EngineUnavailableError,
    OutcomeUnknownError,
    StoreUnavailableError,
    GenerationConflictError,
)
"""What is worth another try while the caller waits anyway."""
_ACCEPTED_AT_ONCE: Final = 12
"""Changes that are looked into at a time. More than the questions to registries that are under way."""
_CHANGES_S: Final = 3.0
"""How long a question waits for what the Engine finds changed in a container: others wait for the thread."""
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Forward:
    """The pod lives on another host, whose worker has to give the answer."""

    host: str
    accepted: bool
    """Whether its intent is recorded already."""


@dataclass(frozen=True, kw_only=True)
class PodService:
    """Everything that can be asked about single pods, on one host."""

    host: str
    hosts: frozenset[str]
    """Hosts that must have reported before an id that is not known counts as new."""
    store: Store
    engine: Engine
    installation: str
    rebuild: Rebuild
    guard: StorageGuard
    dispatcher: Dispatcher
    passes: Passes
    clock: Callable[[], float]
    preflight: Preflight
    task_wait_s: float
    task_attempts: int
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_ACCEPTED_AT_ONCE))

    async def submit(
        self, pod_id: str, request: Request, *, task_id: str, wait: bool = True
    ) -> dict[str, Any] | Forward:
        """Accept the request, once for each `task_id`, have the pod reconciled and return its result.

        With `wait` false the answer is given as soon as the intent is accepted. Raises PodError of every
        kind; nothing was written then.
        """
        if await self._patiently(lambda: self._was_taken_too_often(task_id)):
            return pod_result(await self._patiently(lambda: self._load(pod_id)))
        accepted = await self._patiently(lambda: self._accept_in_turn(pod_id, request, task_id))
        if isinstance(accepted, Forward):
            return accepted
        generation, seen = accepted
        record = await self._patiently(lambda: self._load(pod_id))
        if record.host != self.host:
            return await self._elsewhere(record)
        timeout_s = self.task_wait_s if wait else 0.0
        outcome = await self.dispatcher.settle(pod_id, generation, timeout_s=timeout_s, seen=seen)
        if outcome is not None:
            return pod_result(outcome.record, steps=outcome.steps)
        return pod_result(await self._patiently(lambda: self._load(pod_id)))

    async def get(self, pod_id: str) -> dict[str, Any]:
        """Return one pod as recorded, or the tombstone of one. Raises PodNotFoundError, also for nothing's.

        `unprotected_paths` names what would be lost with its container; None where that cannot be seen.
        """
        record = await self._patiently(lambda: self._load(pod_id))
        if not record.existed and not record.purging:
            raise _no_pod(pod_id)
        return pod_result(record) | {"unprotected_paths": await self._unprotected(record)}

    async def _unprotected(self, record: Record) -> Sequence[str] | None:
        container_id = record.state.container_id
        if record.host != self.host or container_id is None:
            return None
        try:
            async with asyncio.timeout(_CHANGES_S):
                changes = await self.engine.changes(container_id)
                mounted = await self.engine.mounted(container_id)
        except (PodError, TimeoutError) as error:
            _log.info("changes_not_seen", pod_id=record.pod_id, reason=str(error) or "no answer soon")
            return None
        # Not where the layout has volumes: one that the container does not mount protects nothing, and one
        # whose path leads over a link of the image is mounted where that leads.
        return unprotected_paths(changes, mounted)

    async def list(self, *, orphans: bool = False) -> dict[str, Any]:
        """Return all pods of all hosts as recorded, tombstones left out once everything is removed.

        While a pass repairs pods of this host, `recovering` says how far it is. With `orphans` also what is
        on this host of pods that have no record.
        """
        records = await self._patiently(self.store.load_all)
        # Thousands take a while, in which others are to be answered.
        pods = await asyncio.to_thread(_results, records.values())
        shown_too = {"recovering": recovering} if (recovering := self.passes.recovering()) else {}
        return {"pods": pods} | shown_too | ({"orphans": await self._orphans(records)} if orphans else {})

    async def _orphans(self, records: Mapping[str, Record]) -> Sequence[dict[str, Any]]:
        seen = await self._patiently(self.engine.observe_all)
        return [
            self._orphan(pod_id, seen) for pod_id in sorted(seen.pod_ids(self.installation) - records.keys())
        ]

    def _orphan(self, pod_id: str, seen: Snapshot) -> dict[str, Any]:
        container = seen.containers.get(naming.container_name(pod_id)) or next(
            iter(seen.by_pod.get(pod_id, ())), None
        )
        return {
            "pod_id": pod_id,
            "host": self.host,
            "container": None if container is None else container.state.value,
            "volumes": sorted(seen.labelled.get(pod_id, ())),
        }

    async def _was_taken_too_often(self, task_id: str) -> bool:
        """Count the taking of a message, and tell whether it is to be answered without any work for it.

        So it is with one that was accepted and came again and again: its sender asks once more, or whatever
        it begins ends the worker each time. What is left to do for its pod is found by a pass. Raises
        PoisonedTaskError for one that was never accepted.
        """
        attempts = await self.store.count_attempt(task_id)
        if attempts <= self.task_attempts:
            return False
        if await self.store.accepted_generation(task_id) is not None:
            return True
        raise PoisonedTaskError(
            f"task {task_id} was taken {attempts - 1} times and never accepted: it is given up. "
            "The worker's log says what happened each time"
        )

    async def _accept_in_turn(
        self, pod_id: str, request: Request, task_id: str
    ) -> tuple[int, Seen | None] | Forward:
        """Accept what ends something at once, and of all else so many at a time that this stays quick."""
        if isinstance(request, Stop | Delete):
            return await self._accept(pod_id, request, task_id)
        async with self.turns:
            return await self._accept(pod_id, request, task_id)

    async def _accept(self, pod_id: str, request: Request, task_id: str) -> tuple[int, Seen | None] | Forward:
        known = await self.store.accepted_generation(task_id)
        if known is not None:
            return known, None
        self.guard.refuse_taken()
        record = await self._known(pod_id)
        check(pod_id, record, request)
        if record is not None and record.exists and record.host != self.host:
            # A new spec can be looked into only where it will run.
            looks = isinstance(request, Create | Update) or replaces(record, request)
            if looks and record.host in await self.store.live_hosts():
                return Forward(host=record.host, accepted=False)
            self._judge(record, request, alone=True)
            generation, _ = await self._propose(record, pod_id, request, task_id, Resolved())
            return generation, None
        if record is not None and record.purging and record.host != self.host and isinstance(request, Create):
            return Forward(host=await self._remover(record), accepted=False)
        self._judge(record, request)
        looked = await self._first_look(pod_id, record, request)
        resolved = await self._resolved(pod_id, record, request)
        if record is not None and replaces(record, request):
            looked = await self._rehearsed(record, request, resolved)
        elif looked is not None and isinstance(request, Create) and request.adopt:
            candidate = looked.record.evolve(intent=intent_for(record, request, resolved))
            looked = Seen(record=candidate, observation=await self.preflight.rehearse(candidate))
        generation, intent = await self._propose(record, pod_id, request, task_id, resolved)
        if looked is None:
            return generation, None
        return generation, Seen(record=looked.record.evolve(intent=intent), observation=looked.observation)

    def _judge(self, record: Record | None, request: Request, *, alone: bool = False) -> None:
        """Refuse what the operator of this host does not allow; raises InvalidInputError.

        Judged where the pod will run, or `alone` where nobody is there to look into the rest.
        """
        if not isinstance(request, Create | Update):
            return
        policy = self.preflight.policy
        before = record.intent.spec if record is not None and record.exists else None
        check_policy(policy, request.spec, before)
        if alone:
            check_runtime(policy, request.spec, before, own=self.preflight.installation.default_runtime)

    def _place(self, record: Record | None, request: Request) -> str:
        """Return the host of what is asked for: a new pod, of which nothing is left elsewhere, lives here."""
        if record is None or (isinstance(request, Create) and not record.exists and not record.purging):
            return self.host
        return record.host

    async def _remover(self, record: Record) -> str:
        """Return the host that has still to remove what was deleted, and makes the new pod after that.

        Raises RemovalUnfinishedError where nobody is there to do it.
        """
        if record.host in await self.store.live_hosts():
            return record.host
        raise RemovalUnfinishedError(
            f"pod_id: pod {record.pod_id!r} was deleted, and what is left of it is on host {record.host}, "
            "which has no heartbeat; allowed: another id, or this one once that host's worker is back"
        )

    async def _known(self, pod_id: str) -> Record | None:
        """Return a pod's record; None only where every host has told the store of its pods."""
        record = await self.store.load(pod_id)
        if record is not None:
            return record
        await self.rebuild.run()
        silent = self.hosts - await self.store.reported_hosts()
        if silent:
            raise HostsSilentError(
                f"pod_id: pod {pod_id!r} is not known, and these hosts have not reported their pods since "
                f"Redis was emptied: {', '.join(sorted(silent))}. Start their workers, or take them out of "
                "PINACLE_HOSTS"
            )
        return await self.store.load(pod_id)

    async def _resolved(self, pod_id: str, record: Record | None, request: Request) -> Resolved:
        spec = brings_spec(record, request)
        if spec is not None:
            return await self.preflight.resolved(pod_id, record, spec)
        if isinstance(request, Update) and record is not None and record.state.phase is Phase.FAILED:
            # Its image may be gone, and another one under the same reference: this is how that is taken.
            return await self.preflight.pinned(record, request.spec)
        return Resolved()

    async def _first_look(self, pod_id: str, record: Record | None, request: Request) -> Seen | None:
        """Look where a new pod would go, so that what stands in its way is refused before it is accepted."""
        if not isinstance(request, Create) or (record is not None and record.exists):
            return None
        self.guard.refuse_renamed()
        host = self._place(record, request)
        candidate = Record(pod_id=pod_id, host=host, intent=intent_for(record, request, Resolved()))
        if record is not None:
            candidate = candidate.evolve(state=record.state)
        candidate = candidate.evolve(storage=await self.store.storage(host))
        seen = await self.preflight.first_look(candidate)
        return Seen(record=candidate, observation=seen)

    async def _rehearsed(self, record: Record, request: Request, resolved: Resolved) -> Seen:
        """Look into the container that another one is to replace, so that a loss is refused beforehand."""
        candidate = record.evolve(intent=intent_for(record, request, resolved))
        return Seen(record=candidate, observation=await self.preflight.rehearse(candidate))

    async def _propose(
        self, record: Record | None, pod_id: str, request: Request, task_id: str, resolved: Resolved
    ) -> tuple[int, Intent]:
        intent = intent_for(record, request, resolved).evolve(accepted_at=self.clock())
        accepted = await self.store.accept(
            Proposal(
                pod_id=pod_id,
                task_id=task_id,
                expected_generation=record.intent.generation if record is not None else 0,
                host=self._place(record, request),
                intent=intent,
            )
        )
        _log.info("intent_accepted", pod_id=pod_id, intent=intent.kind.value, generation=accepted.generation)
        return accepted.generation, intent

    async def _elsewhere(self, record: Record) -> dict[str, Any] | Forward:
        if record.host in await self.store.live_hosts():
            return Forward(host=record.host, accepted=True)
        waits_for = f"host {record.host} has no heartbeat: it goes on as soon as its worker is back"
        if record.host in self.guard.former_names:
            waits_for += f". But {renamed_problem(self.host, self.guard.former_names)}"
        return pod_result(record, waits_for=waits_for)

    async def _load(self, pod_id: str) -> Record:
        record = await self.store.load(pod_id)
        if record is None:
            raise _no_pod(pod_id)
        return record

    def _is_passing(self, error: Exception) -> bool:
        return isinstance(error, _PASSING) and not self.dispatcher.draining

    async def _patiently(self, do: Callable[[], Awaitable[_T]]) -> _T:
        """Try again with back-off while Engine or Redis do not answer, for as long as a task may take."""
        async for attempt in stamina.retry_context(
            on=self._is_passing, attempts=None, timeout=self.task_wait_s, wait_initial=0.05, wait_max=2.0
        ):
            with attempt:
                return await do()
        raise AssertionError("unreachable: the last attempt raises")


def _results(records: Iterable[Record]) -> Sequence[dict[str, Any]]:
    shown = [record for record in records if record.exists or record.purging]
    return [pod_result(record) for record in sorted(shown, key=lambda r: r.pod_id)]


def _no_pod(pod_id: str) -> PodNotFoundError:
    return PodNotFoundError(f"pod_id: pod {pod_id!r} does not exist; allowed: an id that pods.list shows")
