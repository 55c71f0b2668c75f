"""Which pod is worked on when: one keeper a pod, retries with back-off, and callers that wait for an outcome.

A keeper lives as long as its pod needs something. It reconciles the pod. If more is to be done, it waits
until the next try is due, until another process gives the pod's lease back, or until it is woken.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final

import structlog

from worker.cancelling import end
from worker.errors import LeaseHeldError, PermanentError, PodError, PodNotFoundError
from worker.interfaces import UNOBSERVED, Observer, Reconciled, Store
from worker.planner.backoff import LONGEST_CRASH_DELAY_S, error_delay
from worker.pods.model import RESTING_PHASES
from worker.pods.results import visible_phase
from worker.reconcile.reconciler import Outcome, Reconciler, Seen

_log: Final = structlog.get_logger(__name__)
_PATIENCE_S: Final = 3.0
"""How long the acceptance of a new pod waits for changes of others: its caller waits as well."""
_LEASE_WATCH_S: Final = 5.0
"""How long to watch another process's lease before trying again: nothing announces that a lease expires."""


@dataclass(eq=False)
class _Keeper:
    """The work on one pod in this process."""

    pod_id: str
    seen: Seen | None
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a caller waits: then the work no longer queues for one of the places for repairs."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    resting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the keeper waits for something, clear while it works."""
    waiters: list[asyncio.Future[Outcome]] = field(default_factory=list)
    found_at: float = field(default_factory=monotonic)
    """When it was noticed that the pod needs something, by the monotonic clock."""
    errors: int = 0
    """Attempts in a row that could not even be recorded."""
    cause: Context = field(default_factory=copy_context)
    """The context of the caller that asked for the next reconcile, for its log lines and its trace."""

    def wake(self, *, urgent: bool) -> None:
        """Make it look again. A caller that waits counts as the cause rather than a pass that comes later."""
        if urgent or not self.woken.is_set():
            self.cause = copy_context()
        self.woken.set()


class Dispatcher:
    """Runs reconciles. All methods are to be called in the event loop that it was made in."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        store: Store,
        clock: Callable[[], float],
        repairs_at_once: int,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`clock` gives seconds since the epoch; `repairs_at_once` bounds the work that is not urgent."""
        self._reconciler = reconciler
        self._store = store
        self._clock = clock
        self._observer = observer
        self._repairs = asyncio.Semaphore(repairs_at_once)
        self._keepers: dict[str, _Keeper] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def poke(self, pod_id: str, *, seen: Seen | None = None, urgent: bool = True) -> None:
        """Have a pod reconciled soon; if it is not `urgent`, it queues for one of the places for repairs."""
        self._keeper(pod_id, seen, urgent=urgent).wake(urgent=urgent)

    async def settle(
        self, pod_id: str, generation: int, *, timeout_s: float, seen: Seen | None = None, urgent: bool = True
    ) -> Outcome | None:
        """Have a pod reconciled and return how that ended for the intent `generation` or a later one.

        Returns None if time is up or the process is about to end; the work goes on after that.
        """
        self.poke(pod_id, seen=seen, urgent=urgent)
        steps: tuple[str, ...] = ()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._reconciler.draining:
                    outcome = await self._next_outcome(pod_id, urgent=urgent)
                    steps += outcome.steps
                    if _is_answer(outcome, generation):
                        return Outcome(record=outcome.record, steps=steps, error=outcome.error)
        return None

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Enter this to examine a change of a pod: new pods wait meanwhile, as they do while it is made."""
        self._reconciler.places.begin_change()
        try:
            yield
        finally:
            self._reconciler.places.end_change()

    async def let_changes_pass(self) -> None:
        """Wait until few pods are being changed for somebody; if that takes too long, go on."""
        await self._reconciler.places.let_changes_pass(_PATIENCE_S)

    @property
    def draining(self) -> bool:
        """Whether the process is about to end."""
        return self._reconciler.draining

    async def until_resting(self, pod_id: str) -> None:
        """Wait until nobody in this process works on the pod."""
        keeper = self._keepers.get(pod_id)
        if keeper is not None:
            await keeper.resting.wait()

    async def drain(self, grace_s: float) -> None:
        """End all work: steps under way may finish within `grace_s`, no further one is begun."""
        self._reconciler.draining = True
        for keeper in self._keepers.values():
            keeper.woken.set()
            _tell_off(keeper)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        await end(self._tasks)
        await self._reconciler.pulls.close()

    async def _next_outcome(self, pod_id: str, *, urgent: bool) -> Outcome:
        keeper = self._keeper(pod_id, None, urgent=urgent)
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        keeper.waiters.append(waiter)
        return await waiter

    def _keeper(self, pod_id: str, seen: Seen | None, *, urgent: bool) -> _Keeper:
        keeper = self._keepers.get(pod_id)
        if keeper is None:
            keeper = self._keepers[pod_id] = _Keeper(pod_id=pod_id, seen=seen)
            task = asyncio.create_task(self._keep(keeper), name=f"keep {pod_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if urgent:
            keeper.urgent.set()
        return keeper

    async def _keep(self, keeper: _Keeper) -> None:
        try:
            delay: float | None = 0.0
            while delay is not None and not self._reconciler.draining:
                keeper.woken.clear()
                keeper.resting.clear()
                delay = await self._once(keeper)
                keeper.resting.set()
                if keeper.woken.is_set():
                    if delay is None:
                        keeper.found_at = monotonic()  # The pod rested, so what woke it is new.
                    delay = 0.0
                elif delay is not None:
                    await _wait(keeper.woken, delay)
        finally:
            # Nothing is awaited between the last look at `woken` and this, so no wake-up is lost.
            del self._keepers[keeper.pod_id]
            keeper.resting.set()
            _tell_off(keeper)

    async def _once(self, keeper: _Keeper) -> float | None:
        """Reconcile once; return seconds until the next try, None if the pod rests."""
        try:
            outcome = await self._reconcile(keeper)
        except LeaseHeldError:
            return await self._watch_lease(keeper)
        except PodNotFoundError as error:
            _tell(keeper, error)
            return None
        except PodError:
            keeper.errors += 1
            return error_delay(keeper.errors, keeper.pod_id)
        except Exception as error:  # noqa: BLE001 - a bug in one pod must not end its keeper; it is logged whole
            keeper.errors += 1
            _tell(keeper, error)
            return error_delay(keeper.errors + 3, keeper.pod_id)
        keeper.errors = 0
        _tell(keeper, outcome)
        if outcome.retry_at is None:
            return None
        return min(max(outcome.retry_at - self._clock(), 0.0), 2 * LONGEST_CRASH_DELAY_S)

    async def _reconcile(self, keeper: _Keeper) -> Outcome:
        seen, keeper.seen = keeper.seen, None
        async with self._turn(keeper):
            # The keeper's own context is that of its first caller, and the keeper outlives that caller.
            work = self._reconcile_and_report(keeper, seen)
            return await asyncio.create_task(work, context=keeper.cause.copy())

    async def _reconcile_and_report(self, keeper: _Keeper, seen: Seen | None) -> Outcome:
        began = monotonic()
        with self._observer.reconciling(keeper.pod_id):
            try:
                outcome = await self._reconciler.reconcile(keeper.pod_id, seen)
            except Exception as error:
                self._tell_observer(keeper, error, began)
                _report_failure(keeper.pod_id, error)
                raise
            self._tell_observer(keeper, outcome, began)
        _report(outcome, monotonic() - began)
        return outcome

    def _tell_observer(self, keeper: _Keeper, news: Outcome | Exception, began: float) -> None:
        now = monotonic()
        told = Reconciled(seconds=now - began, since_found_s=now - keeper.found_at)
        if isinstance(news, Outcome):
            told = replace(told, record=news.record, before=news.before, steps=news.steps, error=news.error)
        else:
            told = replace(told, error=news)
        self._observer.reconciled(told)

    async def _watch_lease(self, keeper: _Keeper) -> float:
        """Wait until the process that has the lease gives it back or changes something; return the delay."""
        try:
            record = await self._store.load(keeper.pod_id)
            if record is not None:
                await self._store.wait_for_change(keeper.pod_id, record.state, _LEASE_WATCH_S)
        except Exception as error:  # noqa: BLE001 - as in `_once`
            keeper.errors += 1
            keeper.cause.copy().run(_report_failure, keeper.pod_id, error)
            return error_delay(keeper.errors, keeper.pod_id)
        return 0.0

    @asynccontextmanager
    async def _turn(self, keeper: _Keeper) -> AsyncIterator[None]:
        """Wait for one of the places for repairs, unless the work is or becomes urgent."""
        if not keeper.urgent.is_set() and await self._place_or_urgent(keeper):
            try:
                yield
            finally:
                self._repairs.release()
        else:
            yield

    async def _place_or_urgent(self, keeper: _Keeper) -> bool:
        """Return whether a place was taken; then it has to be released."""
        place = asyncio.create_task(self._repairs.acquire())
        urgent = asyncio.create_task(keeper.urgent.wait())
        try:
            await asyncio.wait({place, urgent}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            urgent.cancel()
            if not place.done():
                place.cancel()
            await asyncio.gather(place, urgent, return_exceptions=True)
        return not place.cancelled()


def _is_answer(outcome: Outcome, generation: int) -> bool:
    if outcome.record.intent.generation < generation:
        return False
    if outcome.error is not None:
        return isinstance(outcome.error, PermanentError)
    return outcome.retry_at is None or visible_phase(outcome.record) in RESTING_PHASES


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _tell(keeper: _Keeper, news: Outcome | Exception) -> None:
    waiters, keeper.waiters = keeper.waiters, []
    for waiter in waiters:
        if waiter.done():
            continue
        if isinstance(news, Outcome):
            waiter.set_result(news)
        else:
            waiter.set_exception(news)


def _tell_off(keeper: _Keeper) -> None:
    """End all waiting with a TimeoutError: this process will have no news."""
    _tell(keeper, TimeoutError())


def _report_failure(pod_id: str, error: Exception) -> None:
    """Log one line if nothing could be recorded. A held lease or an unknown pod is no fault."""
    match error:
        case LeaseHeldError() | PodNotFoundError():
            pass
        case PodError():
            _log.warning("pod_not_reconciled", pod_id=pod_id, reason=str(error))
        case _:
            _log.error("pod_not_reconciled", pod_id=pod_id, exc_info=error)


def _report(outcome: Outcome, seconds: float) -> None:
    """Log one line for each reconcile; at level debug if it did nothing."""
    record, state = outcome.record, outcome.record.state
    quiet = not outcome.steps and outcome.error is None
    _log.log(
        10 if quiet else 20 if outcome.error is None else 30,
        "pod_reconciled",
        pod_id=record.pod_id,
        intent=record.intent.kind.value,
        generation=record.intent.generation,
        phase=state.phase.value,
        steps=list(outcome.steps),
        reason=state.reason,
        duration_ms=round(seconds * 1000, 1),
    )
