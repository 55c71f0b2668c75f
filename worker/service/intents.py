"""Accepts an intent, then has that pod reconciled: every task that changes something does this."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from worker.errors import HostsSilentError, PoisonedTaskError, RemovalUnfinishedError
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.interfaces import Proposal, Store
from worker.planner.host.renaming import renamed_problem
from worker.pods.model import Intent, Phase, Record
from worker.pods.requests import (
    Change,
    Create,
    Delete,
    Request,
    Resolved,
    Stop,
    Update,
    brings_spec,
    check,
    created,
    intent_for,
    replaces,
    settled,
)
from worker.pods.results import pod_result
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Seen
from worker.service.moments import moment
from worker.service.patience import Patience, load_pod
from worker.service.preflight import Preflight

_log: Final = structlog.get_logger(__name__)
_ACCEPTED_AT_ONCE: Final = 12
"""Changes that are examined at the same time. More than the questions to registries that may be under way."""


@dataclass(frozen=True, kw_only=True)
class Forward:
    """The pod lives on another host, and that host's worker has to answer."""

    host: str
    accepted: bool
    """Whether its intent is recorded already."""


class Intents:
    """Accepts or refuses changes of pods on one host, and has accepted ones carried out."""

    def __init__(
        self,
        *,
        host: str,
        hosts: frozenset[str],
        store: Store,
        rebuild: Rebuild,
        guard: StorageGuard,
        preflight: Preflight,
        dispatcher: Dispatcher,
        patience: Patience,
        clock: Callable[[], float],
        task_wait_s: float,
        task_attempts: int,
    ) -> None:
        """All of `hosts` must have reported their pods before an unknown id counts as new.

        `clock` gives seconds since the epoch. A task waits `task_wait_s` seconds for the outcome. A task that
        was taken more than `task_attempts` times is given up.
        """
        self._host = host
        self._hosts = hosts
        self._store = store
        self._rebuild = rebuild
        self._guard = guard
        self._preflight = preflight
        self._dispatcher = dispatcher
        self._patience = patience
        self._clock = clock
        self._task_wait_s = task_wait_s
        self._task_attempts = task_attempts
        self._turns = asyncio.Semaphore(_ACCEPTED_AT_ONCE)

    async def submit(
        self, pod_id: str, request: Request | Change, *, task_id: str, wait: bool = True
    ) -> dict[str, Any] | Forward:
        """Accept the request, once for each `task_id`, have the pod reconciled and return its result.

        If `wait` is false, the answer is given as soon as the intent is accepted. Raises a PodError of any
        kind; then nothing was written.
        """
        if await self._patience.until_answered(lambda: self._was_taken_too_often(task_id)):
            return pod_result(await self._load(pod_id))
        accepted = await self._patience.until_answered(lambda: self._accept_in_turn(pod_id, request, task_id))
        if isinstance(accepted, Forward):
            return accepted
        generation, seen = accepted
        record = await self._load(pod_id)
        if record.host != self._host:
            return await self._elsewhere(record)
        timeout_s = self._task_wait_s if wait else 0.0
        outcome = await self._dispatcher.settle(pod_id, generation, timeout_s=timeout_s, seen=seen)
        if outcome is not None:
            return pod_result(outcome.record, steps=outcome.steps)
        return pod_result(await self._load(pod_id))

    async def is_accepted(self, task_id: str) -> bool:
        """Whether the request that a task brought was accepted. Raises StoreUnavailableError."""
        return await self._store.accepted_generation(task_id) is not None

    async def _was_taken_too_often(self, task_id: str) -> bool:
        """Count that a message was taken; return whether to answer it without any work.

        That is so if the request was accepted and the message still comes again and again: either its sender
        repeats it, or the work that it begins ends the worker each time. A pass finds what is left to do for
        its pod. Raises PoisonedTaskError if the request was never accepted.
        """
        attempts = await self._store.count_attempt(task_id)
        if attempts <= self._task_attempts:
            return False
        if await self.is_accepted(task_id):
            return True
        raise PoisonedTaskError(
            f"task {task_id} was taken {attempts - 1} times and never accepted: it is given up. "
            "The worker's log says what happened each time"
        )

    async def _accept_in_turn(
        self, pod_id: str, request: Request | Change, task_id: str
    ) -> tuple[int, Seen | None] | Forward:
        """Accept what ends something at once, and a limited number of other changes at a time."""
        if isinstance(request, Stop | Delete):
            return await self._accept(pod_id, request, task_id)
        async with self._turns:
            return await self._accept(pod_id, request, task_id)

    async def _accept(
        self, pod_id: str, asked: Request | Change, task_id: str
    ) -> tuple[int, Seen | None] | Forward:
        known = await self._store.accepted_generation(task_id)
        if known is not None:
            return known, None
        self._guard.refuse_taken()
        record = await self._known(pod_id)
        request = settled(pod_id, record, asked)
        check(pod_id, record, request)
        if record is not None and record.exists and record.host != self._host:
            # A new spec can be examined only on the host where it will run.
            looks = isinstance(request, Create | Update) or replaces(record, request)
            if looks and record.host in await self._store.live_hosts():
                return Forward(host=record.host, accepted=False)
            self._preflight.judge(record, request, alone=True)
            generation, _ = await self._propose(record, pod_id, request, task_id, Resolved())
            return generation, None
        if (
            record is not None
            and record.purging
            and record.host != self._host
            and isinstance(request, Create)
        ):
            return Forward(host=await self._remover(record), accepted=False)
        self._preflight.judge(record, request)
        looked = await self._first_look(pod_id, record, request)
        resolved = await self._resolved(pod_id, record, request)
        if record is not None and replaces(record, request):
            looked = await self._rehearsed(record, request, resolved)
        elif looked is not None and isinstance(request, Create) and request.adopt:
            candidate = looked.record.evolve(intent=intent_for(record, request, resolved))
            looked = Seen(record=candidate, observation=await self._preflight.rehearse(candidate))
        generation, intent = await self._propose(record, pod_id, request, task_id, resolved)
        if looked is None:
            return generation, None
        return generation, Seen(record=looked.record.evolve(intent=intent), observation=looked.observation)

    def _place(self, record: Record | None, request: Request) -> str:
        """Return the pod's host: this one for a new pod of whose name nothing is left elsewhere."""
        if record is None or (isinstance(request, Create) and not record.exists and not record.purging):
            return self._host
        return record.host

    async def _remover(self, record: Record) -> str:
        """Return the host that still has to remove the deleted pod, and makes the new one after that.

        Raises RemovalUnfinishedError if that host has no worker.
        """
        if record.host in await self._store.live_hosts():
            return record.host
        raise RemovalUnfinishedError(
            f"pod_id: pod {record.pod_id!r} was deleted, and what is left of it is on host {record.host}, "
            "which has no heartbeat; allowed: another id, or this one once that host's worker is back"
        )

    async def _known(self, pod_id: str) -> Record | None:
        """Return a pod's record; None only if every host has reported its pods to the store."""
        record = await self._store.load(pod_id)
        if record is not None:
            return record
        await self._rebuild.run()
        silent = self._hosts - await self._store.reported_hosts()
        if silent:
            raise HostsSilentError(
                f"pod_id: pod {pod_id!r} is not known, and these hosts have not reported their pods since "
                f"Redis was emptied: {', '.join(sorted(silent))}. Start their workers, or remove them from "
                "PINACLE_HOSTS"
            )
        return await self._store.load(pod_id)

    async def _resolved(self, pod_id: str, record: Record | None, request: Request) -> Resolved:
        spec = brings_spec(record, request)
        if spec is not None:
            return await self._preflight.resolved(pod_id, record, spec)
        if isinstance(request, Update) and record is not None and record.state.phase is Phase.FAILED:
            # Its image may be gone, and another one under the same reference: this is how that is taken.
            return await self._preflight.pinned(record, request.spec)
        return Resolved()

    async def _first_look(self, pod_id: str, record: Record | None, request: Request) -> Seen | None:
        """Look at the place of a new pod, so that what is in its way is reported before it is accepted."""
        if not isinstance(request, Create) or (record is not None and record.exists):
            return None
        self._guard.refuse_renamed()
        host = self._place(record, request)
        candidate = Record(pod_id=pod_id, host=host, intent=intent_for(record, request, Resolved()))
        if record is not None:
            candidate = candidate.evolve(state=record.state)
        candidate = candidate.evolve(storage=await self._store.storage(host))
        seen = await self._preflight.first_look(candidate)
        return Seen(record=candidate, observation=seen)

    async def _rehearsed(self, record: Record, request: Request, resolved: Resolved) -> Seen:
        """Examine the container that is to be replaced, so that a loss is refused before anything changes."""
        candidate = record.evolve(intent=intent_for(record, request, resolved))
        return Seen(record=candidate, observation=await self._preflight.rehearse(candidate))

    async def _propose(
        self, record: Record | None, pod_id: str, request: Request, task_id: str, resolved: Resolved
    ) -> tuple[int, Intent]:
        now = self._clock()
        intent = created(intent_for(record, request, resolved), record, moment(now)).evolve(accepted_at=now)
        accepted = await self._store.accept(
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
        if record.host in await self._store.live_hosts():
            return Forward(host=record.host, accepted=True)
        waits_for = f"host {record.host} has no heartbeat: it goes on as soon as its worker is back"
        if record.host in self._guard.former_names:
            waits_for += f". But {renamed_problem(self._host, self._guard.former_names)}"
        return pod_result(record, waits_for=waits_for)

    async def _load(self, pod_id: str) -> Record:
        return await self._patience.until_answered(lambda: load_pod(self._store, pod_id))
