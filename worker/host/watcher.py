"""Follows the Engine's events and reconciles at once a pod that is not as it should be."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import stamina
import structlog

from worker.cancelling import end
from worker.errors import EngineUnavailableError, PodError, RetryableError
from worker.host.passes import Passes
from worker.interfaces import UNOBSERVED, ContainerEvent, ContenderEvent, EventSource, Observer, Store
from worker.pods.model import IntentKind, Record
from worker.reconcile.dispatcher import Dispatcher

_log: Final = structlog.get_logger(__name__)
_LONGEST_WAIT_S: Final = 2.0
"""Seconds between two attempts to reach an Engine that is away."""


class Watcher:
    """Watches one Engine for as long as it runs.

    At each connection it subscribes first and then makes a whole pass: whatever happens in between is seen by
    one of the two (protocol 10).
    """

    def __init__(
        self,
        *,
        events: EventSource,
        store: Store,
        dispatcher: Dispatcher,
        passes: Passes,
        pass_wait_s: float,
        observer: Observer = UNOBSERVED,
        on_contender: Callable[[ContenderEvent], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """`pass_wait_s` is how long to wait for the repairs of one pass, in seconds.

        `on_contender` is called when another store asks for the installation.
        """
        self._on_contender = on_contender
        self._events = events
        self._store = store
        self._dispatcher = dispatcher
        self._passes = passes
        self._pass_wait_s = pass_wait_s
        self._observer = observer
        self._latest: dict[str, ContainerEvent] = {}
        """The last event of each pod whose event has not been looked into yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                async for attempt in stamina.retry_context(
                    on=PodError, attempts=None, timeout=None, wait_initial=0.1, wait_max=_LONGEST_WAIT_S
                ):
                    with attempt:
                        await self._follow()
        finally:
            await end(self._tasks)
            self._latest.clear()

    async def _follow(self) -> None:
        """Follow one connection to its end. Raises EngineUnavailableError if it cannot be made."""
        async with self._events.subscribed() as events:
            _log.info("events_connected")
            self._observer.stream_connected()
            self._spawn(self._pass())
            try:
                async for event in events:
                    self._take(event)
            except EngineUnavailableError as error:
                # The connection worked before it ended, so the next one is tried at once.
                _log.warning("events_disconnected", reason=str(error))
            finally:
                self._observer.stream_disconnected()

    async def _pass(self) -> None:
        async for attempt in stamina.retry_context(
            on=RetryableError, attempts=None, timeout=self._pass_wait_s, wait_initial=0.2, wait_max=1.0
        ):
            with attempt:
                await self._passes.run(wait_s=self._pass_wait_s)

    def _take(self, event: ContainerEvent | ContenderEvent) -> None:
        if isinstance(event, ContenderEvent):
            if self._on_contender is not None:
                self._spawn(self._on_contender(event))
            return
        waiting = event.pod_id in self._latest
        self._latest[event.pod_id] = event
        if not waiting:
            self._spawn(self._look_into(event.pod_id))

    async def _look_into(self, pod_id: str) -> None:
        """Judge by the pod's last event, once nobody here works on the pod: most events are our own doing."""
        try:
            await self._dispatcher.until_resting(pod_id)
        finally:
            # Whatever happens in between, the pod's next event has to be looked into.
            event = self._latest.pop(pod_id)
        record = await self._store.load(pod_id)
        if record is not None and is_unexpected(event, record):
            _log.info("event_unasked", pod_id=pod_id, action=event.action, container_id=event.container_id)
            # Not urgent: these share the places for repairs, so that the loss of many pods leaves room for
            # requests.
            self._dispatcher.poke(pod_id, urgent=False)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Do what an event asked for; if that fails, the next pass finds the same."""
    try:
        await work
    except PodError as error:
        _log.warning("event_not_followed", reason=str(error))
    except Exception:  # noqa: BLE001 - nobody waits for it: it would fail in silence
        _log.exception("event_not_followed")


def is_unexpected(event: ContainerEvent, record: Record) -> bool:
    """Whether a pod's last event was unexpected: after it, the pod is not as its intent says."""
    if event.container_id != record.state.container_id:
        # Of a container that was replaced or removed since, or that is not noted yet: then it is being made.
        return False
    if record.intent.kind is IntentKind.RUNNING:
        return event.action not in ("start", "unpause")
    # A stop that took longer than one call waits for the end of its container.
    ends = event.action == "die" and record.state.stop is not None
    return record.intent.kind is IntentKind.STOPPED and (ends or event.action in ("start", "unpause"))
