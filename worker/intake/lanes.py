"""Which tasks share threads: no kind of work waits for a thread that another kind uses. Pure."""

from enum import Enum
from typing import Final

from config.queues import CREATIONS, ENDINGS, LOOKS, PASSES, QUESTIONS, QUESTIONS_QUEUE


class Lane(Enum):
    """A kind of work with threads of its own."""

    QUESTIONS = "questions"
    """Tasks that only read, and came by the queue for them."""
    MISPLACED = "misplaced"
    """Questions that came by another queue: those that came by their own queue do not wait for them."""
    ENDINGS = "endings"
    """Tasks that end something: they are sent when there is too much of everything else."""
    LOOKS = "looks"
    """Tasks that look into pods, and take as long as a pod likes."""
    PASSES = "passes"
    CREATIONS = "creations"
    """Tasks that make pods: the owner of a pod that is there does not wait for those that are to come."""
    CHANGES = "changes"


_THREADS: Final = {Lane.QUESTIONS: 8, Lane.MISPLACED: 1, Lane.LOOKS: 16, Lane.PASSES: 4}
"""Few for tasks that only read: all threads share one interpreter, and more would only slow others down."""
AT_EASE: Final = frozenset({Lane.MISPLACED})
"""Kinds of work that let those in `FIRST` pass and rest in between, as nobody has to send them: a flood of
them would otherwise use all the time of the processors, and the Engine would be slow for those who change a
pod."""
TAKEN_AT: Final = "pinacle_taken_at"
"""Attribute of a task's request: when this process took it, by the clock of `time.monotonic`."""
FIRST: Final = frozenset({Lane.CHANGES, Lane.ENDINGS})
RESERVED: Final = {Lane.ENDINGS: 8, Lane.CREATIONS: 8, Lane.CHANGES: 8}
"""Threads that no task occupies to wait for its pod: the next task is accepted at once, and does not wait."""


def lane_of(task: str, queue: str | None = None) -> Lane:
    """Return the kind of work that a task is, by its name and the queue that its message came by."""
    if task in QUESTIONS:
        return Lane.QUESTIONS if queue == QUESTIONS_QUEUE else Lane.MISPLACED
    if task in ENDINGS:
        return Lane.ENDINGS
    if task in CREATIONS:
        return Lane.CREATIONS
    if task in LOOKS:
        return Lane.LOOKS
    return Lane.PASSES if task in PASSES else Lane.CHANGES


def threads(lane: Lane, concurrency: int) -> int:
    """Return how many threads a kind of work has; creations, changes and endings have `concurrency` each."""
    return _THREADS.get(lane, concurrency)


def waiting(lane: Lane, concurrency: int) -> int:
    """Return how many tasks of a kind may wait for their pods at a time, at least one."""
    return max(1, threads(lane, concurrency) - RESERVED.get(lane, 0))
