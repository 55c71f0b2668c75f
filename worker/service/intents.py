"""Accepts an intent, then has that pod reconciled: every task that changes something does this."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from worker.errors import PoisonedTaskError
from worker.host.storage_guard import StorageGuard
from worker.interfaces import Proposal, Store
from worker.planner.host.renaming import renamed_problem
from worker.pods.model import Intent, Record
from worker.pods.requests import Change, Create, Delete, Request, Stop
from worker.pods.results import pod_result
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Seen
from worker.service.examination import Examination, Examined, Forward
from worker.service.patience import Patience, load_pod

_log: Final = structlog.get_logger(__name__)
_ACCEPTED_AT_ONCE: Final = 8
"""Changes of a kind, creations or others, that are examined at the same time. More than the questions to
registries that may be under way."""


class Intents:
    """Accepts or refuses changes of pods on one host, and has accepted ones carried out."""

    def __init__(
        self,
        *,
        host: str,
        store: Store,
        guard: StorageGuard,
        examination: Examination,
        dispatcher: Dispatcher,
        patience: Patience,
        clock: Callable[[], float],
        task_wait_s: float,
        task_attempts: int,
    ) -> None:
        """`clock` gives seconds since the epoch.

        A task waits `task_wait_s` seconds for the outcome. A task that was taken more than `task_attempts`
        times is given up.
        """
        self._host = host
        self._store = store
        self._guard = guard
        self._examination = examination
        self._dispatcher = dispatcher
        self._patience = patience
        self._clock = clock
        self._task_wait_s = task_wait_s
        self._task_attempts = task_attempts
        self._creations = asyncio.Semaphore(_ACCEPTED_AT_ONCE)
        self._changes = asyncio.Semaphore(_ACCEPTED_AT_ONCE)

    async def submit(
        self, pod_id: str, request: Request | Change, *, task_id: str, wait: bool = True
    ) -> dict[str, Any] | Forward:
        """Accept the request, once for each `task_id`, have the pod reconciled and return its result.

        If `wait` is false, the answer is given as soon as the intent is accepted. Raises a PodError of any
        kind; then nothing was written.
        """
        if await self._patience.until_answered(lambda: self._was_taken_too_often(task_id)):
            return pod_result(await self._load(pod_id))
        accepted = await self._patience.until_answered(
            lambda: self._accept_in_turn(pod_id, request, task_id), looks=True
        )
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
        """Accept what ends something at once, and a limited number of creations and other changes at a time.

        A change of a pod that is there does not wait for creations.
        """
        if isinstance(request, Stop | Delete):
            return await self._accept(pod_id, request, task_id)
        if not isinstance(request, Create):
            async with self._changes:
                with self._dispatcher.changing():
                    return await self._accept(pod_id, request, task_id)
        async with self._creations:
            # Each looks at the Engine, and a caller may send any number of them.
            await self._dispatcher.let_changes_pass()
            return await self._accept(pod_id, request, task_id)

    async def _accept(
        self, pod_id: str, asked: Request | Change, task_id: str
    ) -> tuple[int, Seen | None] | Forward:
        known = await self._store.accepted_generation(task_id)
        if known is not None:
            return known, None
        examined = await self._examination.examine(pod_id, asked)
        if isinstance(examined, Forward):
            return examined
        generation, intent = await self._propose(pod_id, examined, task_id)
        looked = examined.looked
        if looked is None:
            return generation, None
        return generation, Seen(record=looked.record.evolve(intent=intent), observation=looked.observation)

    async def _propose(self, pod_id: str, examined: Examined, task_id: str) -> tuple[int, Intent]:
        record, intent = examined.record, examined.intent(self._clock())
        accepted = await self._store.accept(
            Proposal(
                pod_id=pod_id,
                task_id=task_id,
                expected_generation=record.intent.generation if record is not None else 0,
                host=examined.host,
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
