"""Several observers as one. A failure in one of them harms neither the others nor the work."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import structlog

from worker.interfaces import Observer, PassReport, Reconciled

_log: Final = structlog.get_logger(__name__)


class Observers:
    """Passes everything on to each of them, in order. Logs a failure once for each observer and type."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers
        self._failed: set[tuple[Observer, type[Exception]]] = set()

    def engine_asked(self, call: str) -> None:
        self._tell(lambda each: each.engine_asked(call))

    def engine_answered(self, call: str, seconds: float, error: Exception | None) -> None:
        self._tell(lambda each: each.engine_answered(call, seconds, error))

    def stream_connected(self) -> None:
        self._tell(lambda each: each.stream_connected())

    def stream_disconnected(self) -> None:
        self._tell(lambda each: each.stream_disconnected())

    def step_ended(self, step: str, error: Exception | None) -> None:
        self._tell(lambda each: each.step_ended(step, error))

    def reconciling(self, pod_id: str) -> AbstractContextManager[None]:
        return self._within(lambda each: each.reconciling(pod_id))

    def reconciled(self, news: Reconciled) -> None:
        self._tell(lambda each: each.reconciled(news))

    def passing(self) -> AbstractContextManager[None]:
        return self._within(lambda each: each.passing())

    def pass_ended(self, report: PassReport) -> None:
        self._tell(lambda each: each.pass_ended(report))

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for each in self._observers:
            with self._harmless(each):
                tell(each)

    @contextmanager
    def _within(self, within: Callable[[Observer], AbstractContextManager[object]]) -> Iterator[None]:
        entered: list[tuple[Observer, AbstractContextManager[object]]] = []
        for each in self._observers:
            with self._harmless(each):
                context = within(each)
                context.__enter__()
                entered.append((each, context))
        try:
            yield
        except BaseException as error:
            self._leave(entered, error)
            raise
        self._leave(entered, None)

    def _leave(
        self, entered: list[tuple[Observer, AbstractContextManager[object]]], error: BaseException | None
    ) -> None:
        """Leave all contexts, the last one first; each sees the error, and none can hide it from others."""
        for each, context in reversed(entered):
            with self._harmless(each):
                if error is None:
                    context.__exit__(None, None, None)
                else:
                    context.__exit__(type(error), error, error.__traceback__)

    @contextmanager
    def _harmless(self, each: Observer) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, pods are kept all the same
            if (each, type(error)) not in self._failed:
                self._failed.add((each, type(error)))
                _log.exception("observer_failed", observer=type(each).__name__)
