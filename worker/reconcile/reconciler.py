"""Reconciles one pod: observe, plan, apply, record. Nothing else changes a container or a volume."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

import structlog

from worker.errors import (
    AlwaysFailsError,
    EngineFailedError,
    ImageGoneError,
    LeaseLostError,
    OutcomeUnknownError,
    PermanentError,
    PodError,
    PodNotFoundError,
    PortTakenError,
    RetryableError,
    StoreUnavailableError,
)
from worker.interfaces import UNOBSERVED, Engine, Lease, Observer, Store
from worker.planner.backoff import FAILED_DELAY_S, LONGEST_ERROR_DELAY_S, error_delay
from worker.planner.decision import GivenUp, Plan
from worker.planner.fold.fold import fold
from worker.planner.fold.results import PortsChosen, StepResult
from worker.planner.identity import noted, own_view
from worker.planner.plan import plan, unseen_step
from worker.planner.sameness import OFTEN, next_failure
from worker.planner.steps import (
    SAVED_WITH_NEXT,
    ChooseOtherPorts,
    CreateContainer,
    LookAtImage,
    RemoveContainer,
    StartContainer,
    Step,
    StopContainer,
    step_name,
    together,
)
from worker.planner.volumes.keeping import rests_without
from worker.planner.volumes.pooled.subvolume import looks_on_pool
from worker.pods.layout import full_names
from worker.pods.model import Installation, IntentKind, Phase, PodState, Record
from worker.pods.observation import Observation
from worker.reconcile.apply import Surroundings, apply
from worker.reconcile.leasing import leased
from worker.reconcile.peers import Peers
from worker.reconcile.port_moves import PortMoves
from worker.reconcile.pulling import Pulls
from worker.reconcile.turns import Places, Turn, begin_a_pod, change_a_pod, end_a_pod

_log: Final = structlog.get_logger(__name__)
_LONGEST_WAY: Final = 40
"""Rounds of planning; the longest path, an update that first rolls back a creation, takes about ten."""
_MAY_PASS: Final = (AlwaysFailsError, PortTakenError)
"""Failures that are reported at once and still tried again soon: what looks like the pod's own fault may be
the host's after all, and the program that has a port may end at any time."""
_SETTLED: Final = frozenset({Phase.RUNNING, Phase.STOPPED, Phase.DELETED})


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An observation made earlier. It is good as long as the record is the one that it was made beside."""

    record: Record
    observation: Observation


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one reconcile ended."""

    record: Record
    steps: tuple[str, ...] = ()
    error: PodError | None = None
    before: PodState | None = None
    """The pod's state when it began."""
    retry_at: float | None = None
    """Seconds since the epoch; None if only an event or a new intent changes anything."""


class Reconciler:
    """Brings the pods of one host to what their intents say."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: Store,
        installation: Installation,
        clock: Callable[[], float],
        step_deadline_s: float,
        free_ports: range = range(0),
        new_incarnation: Callable[[], str] = lambda: uuid4().hex,
        observer: Observer = UNOBSERVED,
        stands_back: Callable[[], str | None] = lambda: None,
        makes_at_once: int = 4,
    ) -> None:
        """`clock` gives seconds since the epoch; `observer` hears how each step ended.

        `makes_at_once` is how many pods are made at the same time.

        If a chosen port is taken, another one is chosen from `free_ports`. `stands_back` returns why no step
        may be sent on this host, None if they may.
        """
        self.stands_back = stands_back
        self.engine = engine
        self.store = store
        self.installation = installation
        self.clock = clock
        self.step_deadline_s = step_deadline_s
        self.new_incarnation = new_incarnation
        self.observer = observer
        self.peers = Peers()
        self.pulls = Pulls(store=store)
        self.places = Places(makes_at_once)
        self.port_moves = PortMoves(store=store, free=free_ports)
        self.draining = False
        """Set when the process is about to end: no further step is begun."""

    async def reconcile(self, pod_id: str, seen: Seen | None = None) -> Outcome:
        """Bring one pod as far towards its intent as possible now.

        Errors that concern the pod end up in its record and in the outcome. Raises PodNotFoundError if
        there is no record, and LeaseHeldError, LeaseLostError or StoreUnavailableError if nothing could
        be recorded.
        """
        async with leased(self.store, pod_id) as lease:
            return await self._reconcile(pod_id, lease, seen)

    async def _reconcile(self, pod_id: str, lease: Lease, seen: Seen | None) -> Outcome:
        # Read after the lease was taken: its last holder may have changed what was read before.
        record = await self.store.load(pod_id)
        if record is None:
            raise PodNotFoundError(f"pod {pod_id}: there is no such pod")
        if record.unreadable is not None:
            return Outcome(record=record, before=record.state)
        attempt = Attempt(self, lease, record)
        try:
            if seen is None or seen.record != record:
                await attempt.pin_image()
            observation = await self._observe(attempt.record, seen)
            return await attempt.rest(await attempt.go(observation))
        except (LeaseLostError, StoreUnavailableError):
            raise
        except PodError as error:
            return await attempt.failed(error)

    async def _observe(self, record: Record, seen: Seen | None) -> Observation:
        if seen is not None and seen.record == record:
            return seen.observation
        names = full_names(record.pod_id, record.state)
        sure_of = None if record.state.seconds else record.state.container_id
        on_pool = looks_on_pool(record, self.installation)
        return await self.engine.observe(record.pod_id, names, sure_of, on_pool=on_pool)


class Attempt:
    """One pod, one lease, one way from what is to what should be."""

    def __init__(self, reconciler: Reconciler, lease: Lease, record: Record) -> None:
        self._own = reconciler
        self._lease = lease
        self._before = record.state
        self.record = record
        self._saved = record.state
        self.done: list[str] = []
        self._turn = Turn(reconciler.places)
        self._refused: str | None = None
        """The step that the Engine failed with, in words that may be about this pod."""

    async def pin_image(self) -> None:
        """Get the image before anybody looks, if that is the first step anyway."""
        step = unseen_step(self.record, self._own.clock())
        if step is not None:
            await self._apply_all((step,), Observation(container=None, volumes={}))

    async def go(self, seen: Observation) -> Plan:
        """Plan and apply until nothing is left to do; return the last plan, which has no steps.

        An intent accepted meanwhile is taken up before the lease is given back.
        """
        try:
            return await self._go(seen)
        finally:
            self._turn.end()

    async def _go(self, seen: Observation) -> Plan:
        seen = own_view(self.record, seen, self._own.installation)
        self.record = noted(self.record, seen, self._own.installation)
        for _ in range(_LONGEST_WAY):
            decided = self._plan(seen)
            if decided.steps:
                seen = await self._apply_all(decided.steps, seen)
            # Before the lease is given back, look for an intent that was accepted meanwhile: the process that
            # accepted it found the lease held, and the pod would otherwise wait for the next pass.
            if not await self._take_up_new_intent() and not decided.steps:
                return decided
        raise RetryableError(
            f"pod {self.record.pod_id}: no end after {_LONGEST_WAY} plans; the last did {self.done[-5:]}"
        )

    def _plan(self, seen: Observation) -> Plan:
        return plan(self.record, seen, self._own.clock(), self._own.installation)

    async def _apply_all(self, batch: tuple[Step, ...], seen: Observation) -> Observation:
        for steps in together(batch):
            if begin_a_pod(steps):
                await self._turn.begin()
            elif change_a_pod(steps) and self._is_asked():
                self._turn.begin_change()
            await self._turn.let_changes_pass()
            # Before each batch, not once: what was before may have taken most of the lease (protocol 5).
            self._check_right_to_act()
            seen, is_over = await self._apply_or_note(steps, seen)
            if end_a_pod(steps):
                self._turn.end()
            if is_over:
                break
        return seen

    async def _apply_or_note(self, steps: tuple[Step, ...], seen: Observation) -> tuple[Observation, bool]:
        """Apply steps; return also whether a new plan is needed, because of something noted instead."""
        try:
            return await self._apply(steps, seen), False
        except ImageGoneError:
            image = self.record.image
            of_image = isinstance(steps[0], CreateContainer | LookAtImage)
            if not of_image or image is None or image.id in seen.gone_images:
                raise
            return seen.evolve(gone_images=seen.gone_images | {image.id}), True
        except PortTakenError as error:
            if not isinstance(steps[0], StartContainer):
                raise
            taken = self._own.port_moves.judge(self.record, error, seen.ports_taken)
            return seen.evolve(ports_taken=(*seen.ports_taken, *taken)), True

    async def _apply(self, steps: tuple[Step, ...], seen: Observation) -> Observation:
        """Send steps at the same time, and note those that were done even if one of them fails."""
        # All are awaited even if one fails: a step that nobody waits for would change the Engine without a
        # lease.
        results = await asyncio.gather(*(self._send(step, seen) for step in steps), return_exceptions=True)
        for step, result in zip(steps, results, strict=True):
            if not isinstance(result, BaseException):
                seen = await self._note(step, result, seen)
            elif isinstance(step, StopContainer) and isinstance(result, PodError):
                self._note_failed_stop(result)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return seen

    async def _send(self, step: Step, seen: Observation) -> StepResult:
        own, name = self._own, step_name(step)
        _log.debug("step_begun", pod_id=self.record.pod_id, step=name)
        try:
            result = await self._do(step, seen)
        except Exception as error:
            own.observer.step_ended(name, error)
            if isinstance(error, EngineFailedError):
                self._refused = name
            raise
        own.observer.step_ended(name, None)
        own.peers.worked(name)
        return result

    async def _do(self, step: Step, seen: Observation) -> StepResult:
        own = self._own
        if isinstance(step, ChooseOtherPorts):
            moved = await own.port_moves.move(self.record, step.taken, self._lease, avoid=seen.ports_taken)
            return PortsChosen(moved)
        with own.pulls.telling(self.record) as tell:
            surroundings = Surroundings(
                engine=own.engine,
                record=self.record,
                seen=seen,
                installation=own.installation,
                incarnation=own.new_incarnation(),
                tell=tell,
            )
            return await apply(step, surroundings)

    async def _note(self, step: Step, result: StepResult, seen: Observation) -> Observation:
        self._tell_of_own_root(step, seen)
        record, seen = fold(self.record, seen, step, result, self._own.clock())
        self.done.append(step_name(step))
        before, self.record = self.record.state, record
        # A save waits for Redis' disk. A change of phase is worth that, as somebody may follow the pod.
        later = isinstance(step, SAVED_WITH_NEXT) and record.state.phase is before.phase
        if record.state != before and not later:
            await self._save()
        _log.debug("step_done", pod_id=self.record.pod_id, step=step_name(step))
        return seen

    def _tell_of_own_root(self, step: Step, seen: Observation) -> None:
        """Log if a container was removed without a look at its own root, for example because it was dead."""
        container, look = seen.container, seen.look
        if container is None or not isinstance(step, RemoveContainer) or step.container_id != container.id:
            return
        if self.record.exists and container.has_run and (look is None or look.container_id != container.id):
            _log.warning(
                "own_root_not_kept",
                pod_id=self.record.pod_id,
                container_id=container.id,
                reason=f"the container was {container.state}, and could not run again as it was: what was "
                "changed in it outside the pod's volumes is gone with it",
            )

    def _note_failed_stop(self, error: PodError) -> None:
        """Forget a stop that did not reach the Engine, or that the Engine refused: no stop is under way."""
        if not isinstance(error, OutcomeUnknownError):
            self.record = self.record.evolve(state=self.record.state.evolve(stop=None))

    def _is_asked(self) -> bool:
        """Whether somebody waits for what is done now; after a loss of many pods new ones get their share."""
        return self.record.state.settled_generation < self.record.intent.generation

    def _check_right_to_act(self) -> None:
        reason = self._own.stands_back()
        if reason is not None:
            raise RetryableError(reason, delay_s=LONGEST_ERROR_DELAY_S)
        if self._own.draining:
            raise LeaseLostError("the worker is stopping: the next worker takes over from here")
        # A lease fences the record, not the Engine. The next holder waits one step's deadline longer than the
        # lease lasts, so no step of ours may still be under way by then (protocol 5).
        if self._lease.remaining() <= self._own.step_deadline_s:
            raise LeaseLostError(
                f"pod {self.record.pod_id}: the lease ends in {self._lease.remaining():.1f} s, "
                f"too soon for a step of at most {self._own.step_deadline_s:.1f} s"
            )

    async def _take_up_new_intent(self) -> bool:
        latest = await self._own.store.load(self.record.pod_id)
        if latest is None or latest.intent.generation == self.record.intent.generation:
            return False
        if latest.unreadable is not None:
            raise RetryableError(latest.unreadable.reason)
        self.record = replace(self.record, intent=latest.intent)
        return True

    async def rest(self, decided: Plan) -> Outcome:
        """Record where the pod stands and that nothing is left to do."""
        state = self.record.state.evolve(
            phase=decided.phase,
            reason=decided.reason,
            kind=decided.kind,
            errors=0,
            retry_at=decided.retry_at or 0.0,
        )
        if decided.given_up is not None:
            return await self._rest_as_it_was(state, decided, decided.given_up)
        if decided.phase in _SETTLED:
            state = state.evolve(settled_generation=self.record.intent.generation, stop=None)
        if decided.phase is not Phase.FAILED:
            state = state.evolve(failed_generation=0, failure=None)
        if decided.phase is Phase.STORAGE_MISSING:
            state = state.evolve(missing_generation=self.record.intent.generation)
        self.record = self.record.evolve(state=state)
        await self._save()
        return self._outcome(None, decided.retry_at)

    async def _rest_as_it_was(self, state: PodState, decided: Plan, given_up: GivenUp) -> Outcome:
        self.record = self.record.evolve(
            state=state.evolve(
                failed_generation=self.record.intent.generation,
                failed_reason=given_up.reason,
                failed_kind=given_up.kind,
                retry_at=given_up.until,
            )
        )
        await self._save()
        return self._outcome(None, decided.retry_at)

    async def failed(self, error: PodError) -> Outcome:
        """Record what went wrong and when to try again."""
        if isinstance(error, EngineFailedError) and self._refused is not None:
            error = self._judged(error, self._refused)
        now, state = self._own.clock(), self.record.state
        state = state.evolve(reason=str(error), kind=error.kind.value, errors=state.errors + 1)
        if isinstance(error, PermanentError):
            generation = self.record.intent.generation
            later = LONGEST_ERROR_DELAY_S if isinstance(error, _MAY_PASS) else FAILED_DELAY_S
            phase = state.phase if rests_without(self.record) else Phase.FAILED
            state = state.evolve(
                phase=phase,
                failed_generation=generation,
                failed_reason=str(error),
                failed_kind=error.kind.value,
                retry_at=now + later,
            )
        else:
            state = state.evolve(phase=self._pending_phase(), retry_at=now + self._delay(error, state.errors))
        self.record = self.record.evolve(state=state)
        await self._save()
        # A container that was stopped for an intent that failed is to run again as it was: look at once.
        again = isinstance(error, PermanentError) and bool(self.done)
        return self._outcome(error, now if again else state.retry_at)

    def _judged(self, error: EngineFailedError, step: str) -> PodError:
        """Count how often in a row the failure was the same; return it as it is, or as the pod's own."""
        record, peers = self.record, self._own.peers
        if record.intent.kind is not IntentKind.RUNNING or record.purging:
            return error
        failure = next_failure(record, step, str(error))
        self.record = record.evolve(state=record.state.evolve(failure=failure))
        peers.failed(record.pod_id, step, failure.text)
        if failure.count < OFTEN or not peers.is_own(record.pod_id, step, failure.text):
            return error
        return AlwaysFailsError(
            f"{error}. It is the same each time, and with this pod alone: fix what it says by pods.update"
        )

    def _outcome(self, error: PodError | None, retry_at: float | None) -> Outcome:
        return Outcome(
            record=self.record, steps=tuple(self.done), error=error, before=self._before, retry_at=retry_at
        )

    def _delay(self, error: PodError, errors: int) -> float:
        given = error.delay_s if isinstance(error, RetryableError) else None
        return error_delay(errors, self.record.pod_id, given=given or 0.0)

    def _pending_phase(self) -> Phase:
        """Return the phase until the next try: a pod that reached its intent and is unchanged keeps it."""
        if self.record.purging:
            return Phase.DELETING
        settled = self.record.state.settled_generation == self.record.intent.generation
        stays = (settled and not self.done) or rests_without(self.record)
        return self.record.state.phase if stays else Phase.PENDING

    async def _save(self) -> None:
        if self.record.state != self._saved:
            await self._own.store.save(self.record, self._lease)
            self._saved = self.record.state
