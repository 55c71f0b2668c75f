"""A worker process: one event loop, one client each of Engine and Redis, and work that it does on its own."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from math import inf
from time import monotonic
from typing import Any, Final, TypeVar

import structlog

from config.queues import host_queues, shared_queues
from config.settings import Settings, listed
from worker.cancelling import end
from worker.docker.directories.disk import free_bytes
from worker.errors import InstallationTakenError, PodError
from worker.hanging import HangingThreads
from worker.health import Heart, UnsafeFolderError
from worker.intake.lanes import Lane, waiting
from worker.interfaces import Observer
from worker.process.clock import ClockWatch
from worker.process.loop_thread import LoopThread
from worker.process.repeating import kept_going, patiently, repeatedly
from worker.process.use_watch import UseWatch
from worker.process.watchdog import Watchdog
from worker.process.wiring import Parts, closes_egress, find_host, make_engine, make_parts
from worker.store.factory import make_store
from worker.telemetry.metrics import Metrics
from worker.telemetry.metrics_server import MetricsServer
from worker.telemetry.observers import Observers

_log: Final = structlog.get_logger(__name__)
_LEAST_USE_S: Final = 10.0
_PASSES_OF_USE: Final = 2
"""What pods use is measured once in so many intervals of passes, and no more often than that."""
_SURELY_SHARED: Final = 2
"""Heartbeats in a row between which another worker of this host had one."""
_T = TypeVar("_T")


class Runtime:
    """What a worker process has as long as it lives."""

    def __init__(self, settings: Settings, *observers: Observer) -> None:
        """`observers` hear what happens, in addition to the metrics, which every process has."""
        self.settings = settings
        self.loop = LoopThread()
        self._waiting = {
            lane: threading.BoundedSemaphore(waiting(lane, settings.task_concurrency)) for lane in Lane
        }
        self._clock = ClockWatch()
        self._watchdog = Watchdog(self.loop.loop, settings.loop_stall_s)
        self._beaten_at = -inf
        self._shared_for = 0
        self._closed_at = monotonic()
        self._disk = HangingThreads(at_once=1)
        self.heart: Heart | None = None
        self._background: list[asyncio.Task[None]] = []
        self.metrics = Metrics()
        self._observer = Observers(self.metrics, *observers)
        self._server = _make_server(settings, self.metrics)
        # Before this waits for Engine or Redis, so that a worker that cannot begin is visible as such.
        serving = None if self._server is None else kept_going("metrics_server", self._server.open)
        self._serving = None if serving is None else self.loop.submit(serving)
        self.parts: Parts = self.loop.run(self._connect())
        self._answer_scrapes()
        structlog.contextvars.bind_contextvars(host=self.parts.host)

    async def _connect(self) -> Parts:
        engine, store = make_engine(self.settings, self._observer), make_store(self.settings)
        host = await find_host(self.settings, engine)
        parts = make_parts(self.settings, host=host, engine=engine, store=store, observer=self._observer)
        is_closed = await patiently(lambda: closes_egress(self.settings, engine))
        engine.set_egress(is_closed=is_closed, allowed=listed(self.settings.egress_allow))
        if not is_closed:
            _log.warning("egress_open", reason="pods reach private networks and the host: PINACLE_EGRESS")
        await patiently(engine.ensure_network)
        try:
            await patiently(parts.rebuild.run)
            await patiently(lambda: _open_pool(parts))
            await patiently(parts.guard.establish)
        except InstallationTakenError:
            pass  # It was logged, and every request gets it as its answer.
        return parts

    def start(self) -> None:
        """Begin what a worker does on its own: the heartbeat, passes at an interval, following events."""
        self.loop.run(self._begin())
        self._watchdog.start()

    def stop(self, grace_s: float) -> None:
        """Finish steps under way within `grace_s`, give leases back, and close the connections."""
        self._watchdog.stop()
        if self._serving is not None and self._server is not None:
            self._serving.cancel()
            self._server.close()
        self.loop.run(self._close(grace_s))
        self.loop.close()

    def stop_waiting(self) -> None:
        """Answer all callers that wait, as the process is about to end."""
        self.loop.submit(self._let_go())

    def may_wait(self, lane: Lane) -> bool:
        """Take one of the places for tasks that wait; False if only room for short work is left."""
        return self._waiting[lane].acquire(blocking=False)

    def done_waiting(self, lane: Lane) -> None:
        self._waiting[lane].release()

    def _answer_scrapes(self) -> None:
        overview, ttl_s = self.parts.store.overview, self.settings.heartbeat_ttl_s
        queues = (*shared_queues(), *host_queues(self.parts.host))
        floor = {"": float(self.settings.min_free_mb * 10**6)}
        self.metrics.queues.read = lambda: self._ask(overview.queue_lengths(queues)) or {}
        self.metrics.unread.read = lambda: _unless_unknown(self._ask(overview.unread(ttl_s)))
        self.metrics.disk_free.read = lambda: _unless_unknown(self._ask(self._free_bytes()))
        self.metrics.disk_floor.read = lambda: floor
        self._use = UseWatch(self.parts.usage, self.metrics.use)
        self.metrics.use.disk.read = lambda: _unless_unknown(self.parts.disk_watch.total())
        self.metrics.use.near_limit.read = self.parts.disk_watch.near_limit
        self.metrics.heartbeats.read = lambda: {} if self.heart is None else self.heart.ages()

    async def _free_bytes(self) -> int | None:
        root = await self.parts.engine.data_root()
        return await self._disk.run(lambda: free_bytes(root), _SCRAPE_WAIT_S)

    def _ask(self, question: Coroutine[Any, Any, _T]) -> _T | None:
        """Ask from another thread than the loop's; None if Redis does not answer soon."""
        asked = self.loop.submit(question)
        try:
            return asked.result(_SCRAPE_WAIT_S)
        except (PodError, TimeoutError):
            asked.cancel()
            return None

    async def _begin(self) -> None:
        self.heart = _make_heart(self.parts.host)
        work = (
            self._beat(),
            self._pass_where_none_came(),
            self._close_egress_again(),
            *(() if not self.settings.disk_interval_s else (self._measure_disk(),)),
            *(() if self._server is None else (self._measure_pods(),)),
            kept_going("watcher", self.parts.watcher.run),
            kept_going("durability_check", self._check_durability),
        )
        self._background = [asyncio.create_task(one) for one in work]

    async def _let_go(self) -> None:
        await self.parts.passes.let_go()
        await self.parts.dispatcher.drain(self.settings.step_deadline_s)

    async def _close(self, grace_s: float) -> None:
        await end(self._background)
        await self.parts.dispatcher.drain(grace_s)
        try:
            await self.parts.store.stop_heart(self.parts.host)
        except PodError as error:
            _log.warning("heartbeat_not_stopped", reason=str(error))
        if self.heart is not None:
            self.heart.close()
        await self.parts.usage.close()
        await self.parts.engine.close()
        await self.parts.store.close()

    async def _beat(self) -> None:
        def due() -> float:
            return self._beaten_at + self.settings.heartbeat_ttl_s / 4

        await repeatedly("heartbeat", self._beat_once, due)

    async def _beat_once(self) -> None:
        self._beaten_at = monotonic()
        if self.heart is not None:
            self.heart.beat()
        self._clock.look()
        is_alone = await self.parts.store.beat_heart(self.parts.host)
        self._shared_for = 0 if is_alone else self._shared_for + 1
        # Once can be an own heartbeat whose answer was lost.
        if self._shared_for == _SURELY_SHARED:
            _log.warning(
                "host_shared",
                reason="another worker of this host takes its tasks too, and its name is the same to all "
                "callers. That does no harm; if it was not meant, end one of the two",
            )

    async def _close_egress_again(self) -> None:
        def due() -> float:
            return self._closed_at + _RULES_EVERY_S

        await repeatedly("egress", self._close_egress_once, due)

    async def _close_egress_once(self) -> None:
        self._closed_at = monotonic()
        await self.parts.engine.close_egress_again()

    async def _measure_pods(self) -> None:
        """Measure what pods use as long as somebody scrapes: two calls a pod, which mostly wait."""
        every_s = max(_LEAST_USE_S, _PASSES_OF_USE * self.settings.reconcile_interval_s)
        await repeatedly("usage", self._use.measure, lambda: self._use.begun_at + every_s)

    async def _measure_disk(self) -> None:
        watch = self.parts.disk_watch
        await repeatedly("disk_use", watch.measure, lambda: watch.due_at)

    async def _pass_where_none_came(self) -> None:
        """Make passes without beat: one is due if none has begun for a little longer than the interval."""

        def due() -> float:
            return self.parts.passes.begun_at + _PATIENCE * self.settings.reconcile_interval_s

        await repeatedly("pass", self._pass_once, due)

    async def _pass_once(self) -> None:
        await self.parts.passes.run(wait_s=self.settings.reconcile_interval_s)

    async def _check_durability(self) -> None:
        for problem in await self.parts.store.durability_problems():
            _log.warning("redis_not_durable", problem=problem)


async def _open_pool(parts: Parts) -> None:
    await parts.pool_guard.open((await parts.store.load_host(parts.host)).values())


def _make_heart(host: str) -> Heart | None:
    """Return what `worker.health` looks at. A worker works without it, but then does not count as healthy."""
    try:
        return Heart(host)
    except (UnsafeFolderError, OSError) as error:
        _log.warning("heart_not_kept", reason=str(error))
        return None


def _make_server(settings: Settings, metrics: Metrics) -> MetricsServer | None:
    if settings.metrics_port is None:
        return None
    return MetricsServer(metrics.registry, address=settings.metrics_address, port=settings.metrics_port)


def _unless_unknown(number: float | None) -> Mapping[str, float]:
    return {} if number is None else {"": number}


_SCRAPE_WAIT_S: Final = 2.0
"""How long a scrape waits for Redis; Prometheus itself gives up after ten seconds."""


_RULES_EVERY_S: Final = 300.0
"""Seconds. Somebody may have loaded the host's whole packet filter again, without the rules of others."""


_PATIENCE: Final = 1.1
"""Intervals after which the worker makes a pass on its own; with beat running that never happens."""
