"""Observers that note what tests check."""

from collections import Counter

from worker.interfaces import Unobserved


class CallCounter(Unobserved):
    """Counts what is sent to the Engine, by kind of call."""

    def __init__(self, calls: Counter[str]) -> None:
        self._calls = calls

    def engine_asked(self, call: str) -> None:
        self._calls[call] += 1


class CallNames(Unobserved):
    """Notes what is sent to the Engine, in order."""

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    def engine_asked(self, call: str) -> None:
        self._calls.append(call)


class StepNotes(Unobserved):
    """Notes how steps ended, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Exception | None]] = []

    def step_ended(self, step: str, error: Exception | None) -> None:
        self.told.append((step, error))
