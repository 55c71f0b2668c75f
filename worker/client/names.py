"""The tasks that a worker has, and the queues that they go to."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from .errors import UnknownTaskError

PODS: Final = "pods"
QUESTIONS: Final = "questions"
QUEUES: Final[Mapping[str, str]] = {
    "pods.create": PODS,
    "pods.start": PODS,
    "pods.stop": PODS,
    "pods.restart": PODS,
    "pods.update": PODS,
    "pods.delete": PODS,
    "pods.get": QUESTIONS,
    "pods.list": QUESTIONS,
    "pods.logs": QUESTIONS,
    "pods.exec": PODS,
    "pods.stats": QUESTIONS,
    "pods.reconcile": PODS,
    "hosts.accept_storage": PODS,
    "hosts.rename": PODS,
}
"""The queue for each task. Workers of all hosts read both queues."""


def queue_of(task: str) -> str:
    """Return the queue for a task. Raises UnknownTaskError for a name that no task has."""
    if task not in QUEUES:
        near = get_close_matches(task, QUEUES, n=1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise UnknownTaskError(f"task: no such name{hint}; allowed: {', '.join(QUEUES)}", field="task")
    return QUEUES[task]
