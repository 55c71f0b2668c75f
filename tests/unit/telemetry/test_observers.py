"""Several observers work as one, and one that fails harms nobody."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from inspect import signature
from typing import Any, Final, cast

import pytest
from structlog.testing import capture_logs

from worker.interfaces import Observer, Unobserved
from worker.telemetry.metrics import Metrics
from worker.telemetry.observers import Observers
from worker.telemetry.traces import Traces

METHODS: Final = {
    name: len(signature(method).parameters) - 1
    for name, method in vars(Observer).items()
    if callable(method) and not name.startswith("_")
}
"""How many arguments each takes."""
AROUND: Final = ("reconciling", "passing")


class Notes(Unobserved):
    """Notes everything that it hears."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def __getattribute__(self, name: str) -> Any:
        if name in AROUND:
            return lambda *given: self.around(name, given)
        if name in METHODS:
            return lambda *given: self.told.append((name, given))
        return super().__getattribute__(name)

    @contextmanager
    def around(self, name: str, given: tuple[Any, ...]) -> Iterator[None]:
        self.told.append((name, given))
        try:
            yield
        except BaseException as error:
            self.told.append((name, error))
            raise
        self.told.append((name, "left"))


class Broken(Unobserved):
    """Fails whenever it hears anything."""

    def __getattribute__(self, name: str) -> Any:
        if name in METHODS:
            return self.fail
        return super().__getattribute__(name)

    def fail(self, *_given: Any) -> Any:
        raise ZeroDivisionError


class BrokenWithin(Unobserved):
    """Fails at the beginning or end of a reconcile or pass."""

    def __init__(self, *, at_end: bool) -> None:
        self._at_end = at_end

    @contextmanager
    def reconciling(self, _pod_id: str) -> Iterator[None]:
        with self.passing():
            yield

    @contextmanager
    def passing(self) -> Iterator[None]:
        if self._at_end:
            try:
                yield
            finally:
                raise ZeroDivisionError
        raise ZeroDivisionError


class Swallowing(Unobserved):
    """Swallows errors, which an observer must not do."""

    @contextmanager
    def passing(self) -> Iterator[None]:
        try:
            yield
        except ValueError:
            return


def tell(observer: Observer, name: str) -> tuple[Any, ...]:
    """Call the method of this name with made-up arguments; return them."""
    given = tuple(f"{name} {number}" for number in range(METHODS[name]))
    result = getattr(observer, name)(*given)
    if name in AROUND:
        with cast("AbstractContextManager[object]", result):
            pass
    return given


@pytest.mark.parametrize("name", METHODS)
def test_each_hears_everything_whoever_fails_before_and_after_it(name: str) -> None:
    first, last = Notes(), Notes()
    given = tell(Observers(Broken(), first, Broken(), last, Broken()), name)
    expected = [(name, given), (name, "left")] if name in AROUND else [(name, given)]
    assert first.told == last.told == expected


@pytest.mark.parametrize("broken", [Broken, *(lambda end=end: BrokenWithin(at_end=end) for end in (0, 1))])
@pytest.mark.parametrize("name", AROUND)
def test_work_goes_on_inside_one_that_fails(name: str, broken: Callable[[], Observer]) -> None:
    """It returns or raises what it would without observers."""
    notes = Notes()
    observers = Observers(broken(), notes, broken())
    arguments = [""] * METHODS[name]
    done = False
    with getattr(observers, name)(*arguments):
        done = True
    assert done
    fault = ValueError("the work's own")
    with pytest.raises(ValueError, match="own") as raised, getattr(observers, name)(*arguments):
        raise fault
    assert raised.value is fault
    assert notes.told[1:] == [(name, "left"), (name, tuple(arguments)), (name, fault)]


def test_none_keeps_an_error_from_the_others_or_from_the_caller() -> None:
    notes = Notes()
    with pytest.raises(ValueError, match="own"), Observers(notes, Swallowing()).passing():
        raise ValueError("own")
    assert isinstance(notes.told[-1][1], ValueError)


def test_a_failure_is_logged_once_and_not_at_every_call() -> None:
    observers = Observers(Broken(), Broken())
    with capture_logs() as logs:
        for _ in range(3):
            tell(observers, "engine_asked")
    failed = [(line["event"], line["observer"], line["log_level"]) for line in logs]
    assert failed == [("observer_failed", "Broken", "error")] * 2


@pytest.mark.parametrize("kind", [Metrics, Traces, Observers, Unobserved])
def test_every_observer_has_all_methods_of_the_protocol(kind: type) -> None:
    """The type checker checks that too, wherever an observer is passed."""
    for name, count in METHODS.items():
        assert len(signature(getattr(kind, name)).parameters) - 1 == count, name
