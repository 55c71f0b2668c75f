"""The threads that tasks run in: tasks of one lane never wait for those of another.

Celery's consumer takes many messages at a time, and each waits in its lane. So a stop that was sent after
hundreds of creations gets a thread at once.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, cast

from celery.concurrency import thread
from celery.concurrency.base import apply_target

from worker.intake.lanes import AT_EASE, FIRST, TAKEN_AT, Lane, lane_of, threads

if TYPE_CHECKING:
    _Base = object
else:
    _Base = thread.TaskPool

_Result: Any = cast("Any", thread).ApplyResult
_REST: Final = 2
_SHORTEST_REST_S: Final = 0.05
"""A question that shares its answer takes next to no time here, but some where it is delivered."""
_LONGEST_REST_S: Final = 0.1
_PATIENCE_S: Final = 0.3
"""How long one that is at ease waits for others to end: its caller waits as well."""


class UnderWay:
    """How many tasks that go first are running."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number = 0

    def __enter__(self) -> None:
        with self._changed:
            self._number += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._number -= 1
            self._changed.notify_all()

    def let_pass(self, within_s: float) -> None:
        """Wait until none is running, at most `within_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._number, within_s)


class LanePool(_Base):
    """Celery's pool of threads, with one executor for each lane."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit: int = cast("Any", self).limit
        self._lanes = {
            lane: ThreadPoolExecutor(threads(lane, limit), thread_name_prefix=lane.value) for lane in Lane
        }
        self._first = UnderWay()
        self._is_closed = False

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> Any:
        """Run a task in a thread of its lane; the first of `args` is its name."""
        if self._is_closed:
            # Its message goes back into its queue when the connection is closed.
            return _Result(Future())
        lane = lane_of(*_origin(args))
        if lane in {Lane.QUESTIONS, Lane.MISPLACED}:
            _note_time(args)
        run = self._run_first if lane in FIRST else self._run_at_ease if lane in AT_EASE else self._run
        return _Result(
            self._lanes[lane].submit(run, apply_target, target, args, kwargs or {}, callback, accept_callback)
        )

    def _run(self, do: Callable[..., Any], *args: Any) -> Any:
        return None if self._is_closed else do(*args)

    def _run_first(self, do: Callable[..., Any], *args: Any) -> Any:
        with self._first:
            return self._run(do, *args)

    def _run_at_ease(self, do: Callable[..., Any], *args: Any) -> Any:
        """Let others pass, and run it; then rest for twice as long as that took: most time is for others."""
        self._first.let_pass(_PATIENCE_S)
        began = monotonic()
        try:
            return self._run(do, *args)
        finally:
            sleep(min(max(_REST * (monotonic() - began), _SHORTEST_REST_S), _LONGEST_REST_S))

    def let_go(self) -> None:
        """Begin nothing more: what waits for a thread goes back into its queue.

        It takes no lock, as it is called from a signal handler.
        """
        self._is_closed = True

    def on_stop(self) -> None:
        """Wait for what has begun."""
        self.let_go()
        for lane in self._lanes.values():
            lane.shutdown()
        cast("Any", super()).on_stop()


def _origin(args: tuple[Any, ...]) -> tuple[str, str | None]:
    """Return a task's name and the queue that it was taken from, which its message may state wrongly."""
    # Celery passes a task's name, its id, its request, and more.
    name = str(args[0]) if args else ""
    request = args[2] if len(args) > 2 and isinstance(args[2], dict) else {}  # noqa: PLR2004
    return name, getattr(request.get("pinacle_message"), "queue", None)


def _note_time(args: tuple[Any, ...]) -> None:
    if len(args) > 2 and isinstance(args[2], dict):  # noqa: PLR2004
        args[2][TAKEN_AT] = monotonic()
