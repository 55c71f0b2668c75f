"""What a change of a pod would do: it is examined like the change itself, and its plan is told, not done."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from worker.errors import ImageGoneError, RetryableError
from worker.interfaces import Engine, Store
from worker.planner import steps
from worker.planner.decision import Plan
from worker.planner.fold.fold import fold
from worker.planner.fold.imagined import imagined
from worker.planner.fold.results import ImagePinned, StepResult
from worker.planner.identity import noted, own_view
from worker.planner.plan import plan
from worker.planner.steps import READ_ONLY, Step, step_name
from worker.planner.volumes.pooled.subvolume import looks_on_pool
from worker.pods.layout import full_names
from worker.pods.model import Installation, IntentKind, Record
from worker.pods.observation import ALIVE, Observation
from worker.pods.requests import Change, Request, Update
from worker.reconcile.apply import Surroundings, apply
from worker.reconcile.reconciler import Seen
from worker.service.examination import Examination, Examined, Forward
from worker.service.patience import Patience
from worker.service.preview.changes import changes
from worker.service.preview.words import words

_LONGEST_WAY: Final = 40
"""Plans, as many as the one that carries it out makes at most."""
_AT_ONCE: Final = 4
_DEPENDS: Final = "what follows depends on what the last step finds"


@dataclass(frozen=True, kw_only=True)
class _Way:
    """The steps from what is to what is asked for, as far as they can be told without doing them."""

    steps: tuple[Step, ...]
    end: Plan | None
    """How it ends; None if the last step decides what follows."""


class Previews:
    """Tells what a change would do, and writes nothing."""

    def __init__(
        self,
        *,
        host: str,
        engine: Engine,
        store: Store,
        installation: Installation,
        examination: Examination,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        """`clock` gives seconds since the epoch."""
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._examination = examination
        self._patience = patience
        self._clock = clock
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def show(self, pod_id: str, asked: Request | Change) -> dict[str, Any] | Forward:
        """Return what a request would do. Raises what would refuse the request itself."""
        async with self._turns:
            return await self._patience.until_answered(lambda: self._looked(pod_id, asked), looks=True)

    async def _looked(self, pod_id: str, asked: Request | Change) -> dict[str, Any] | Forward:
        examined = await self._examination.examine(pod_id, asked)
        if isinstance(examined, Forward):
            return examined
        if examined.host != self._host and examined.host in await self._store.live_hosts():
            return Forward(host=examined.host, accepted=False)
        return await self._shown(pod_id, examined)

    async def _shown(self, pod_id: str, examined: Examined) -> dict[str, Any]:
        record, request = examined.record, examined.request
        before = record.intent.spec if record is not None and record.exists else None
        answer = {
            "pod_id": pod_id,
            "dry_run": True,
            "existed": record is not None and record.existed,
            "host": examined.host,
            "generation": record.intent.generation if record is not None else 0,
            "changes": changes(before, request.spec) if isinstance(request, Update) else [],
        }
        if examined.host != self._host:
            silent = f"host {examined.host} has no heartbeat: what it would do cannot be seen"
            return answer | _told(_Way(steps=(), end=None), was_alive=False, reason=silent)
        candidate = await self._candidate(pod_id, examined)
        seen = await self._seen(candidate, examined.looked)
        was_alive = seen.container is not None and seen.container.state in ALIVE
        way = await self._walked(candidate, seen)
        answer |= _told(way, was_alive=was_alive)
        waits = isinstance(request, Update) and candidate.intent.kind is IntentKind.STOPPED
        if waits:
            started = candidate.evolve(intent=candidate.intent.evolve(kind=IntentKind.RUNNING))
            at_start = await self._walked(started, seen)
            answer["steps_at_start"] = _names(at_start)
            if at_start.end is None:
                answer |= {"complete": False, "reason": answer["reason"] or _DEPENDS}
        return answer

    async def _candidate(self, pod_id: str, examined: Examined) -> Record:
        """Return the record as it would be once the intent is accepted."""
        intent = examined.intent(self._clock())
        if examined.record is not None:
            return examined.record.evolve(intent=intent)
        storage = await self._store.storage(self._host)
        return Record(pod_id=pod_id, host=self._host, intent=intent, storage=storage)

    async def _seen(self, candidate: Record, looked: Seen | None) -> Observation:
        if looked is not None:
            return looked.observation
        names = full_names(candidate.pod_id, candidate.state)
        sure_of = None if candidate.state.seconds else candidate.state.container_id
        on_pool = looks_on_pool(candidate, self._installation)
        return await self._engine.observe(candidate.pod_id, names, sure_of, on_pool=on_pool)

    async def _walked(self, record: Record, seen: Observation) -> _Way:
        """Plan to the end; of what changes something it is imagined that it succeeds.

        What only looks is done, so it is not told.
        """
        seen = own_view(record, seen, self._installation)
        record = noted(record, seen, self._installation)
        told: list[Step] = []
        for _ in range(_LONGEST_WAY):
            decided = plan(record, seen, self._clock(), self._installation)
            if not decided.steps:
                return _Way(steps=tuple(told), end=decided)
            for step in decided.steps:
                try:
                    result = await self._result(step, record, seen)
                except ImageGoneError:
                    image = record.image
                    if image is None or image.id in seen.gone_images:
                        raise
                    seen = seen.evolve(gone_images=seen.gone_images | {image.id})
                    break
                if not isinstance(step, READ_ONLY):
                    told.append(step)
                if result is None:
                    return _Way(steps=tuple(told), end=None)
                record, seen = fold(record, seen, step, result, self._clock())
        raise RetryableError(f"pod {record.pod_id}: no end after {_LONGEST_WAY} plans")

    async def _result(self, step: Step, record: Record, seen: Observation) -> StepResult | None:
        if isinstance(step, steps.PinImage):
            found = await self._engine.find_image(step.reference)
            return None if found is None else ImagePinned(found)
        if isinstance(step, READ_ONLY):
            return await apply(step, self._surroundings(record, seen))
        return imagined(step, record, seen, self._installation, self._clock())

    def _surroundings(self, record: Record, seen: Observation) -> Surroundings:
        return Surroundings(
            engine=self._engine, record=record, seen=seen, installation=self._installation, incarnation=""
        )


def _told(way: _Way, *, was_alive: bool, reason: str | None = None) -> dict[str, Any]:
    """Return a way as plain JSON; `was_alive` says whether the pod has processes now."""
    ends = (steps.StopContainer, steps.RemoveContainer)
    unknown = reason or _DEPENDS
    return {
        "steps": _names(way),
        "explained": [words(step) for step in way.steps],
        "complete": way.end is not None,
        "ends_as": None if way.end is None else way.end.phase.value,
        "reason": unknown if way.end is None else way.end.reason,
        "interrupts": was_alive and any(isinstance(step, ends) for step in way.steps),
        "replaces_container": any(isinstance(step, steps.CreateContainer) for step in way.steps),
        "removes": [step.name for step in way.steps if isinstance(step, steps.RemoveVolume)],
        "steps_at_start": [],
    }


def _names(way: _Way) -> list[str]:
    return [step_name(step) for step in way.steps]
