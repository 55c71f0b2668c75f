"""Names that callers and workers agree on: queues, which task goes into which, headers of messages."""

from collections.abc import Mapping
from typing import Final

PODS_QUEUE: Final = "pods"
"""Takes work from everybody, questions included."""
QUESTIONS_QUEUE: Final = "questions"
"""Takes tasks that only read, so that no question waits behind changes."""
UNREAD_QUEUE: Final = "celery"
"""Celery's own default, for programs that name no queue. No worker of ours reads it."""
QUESTIONS: Final = frozenset({"pods.get", "pods.list"})
"""The tasks that only read what is recorded."""
LOOKS: Final = frozenset({"pods.exec", "pods.logs", "pods.stats"})
"""The tasks that look into pods. Their answers hold what it printed, and are kept for minutes only."""
BY_QUESTIONS: Final = QUESTIONS | {"pods.logs", "pods.stats"}
"""The tasks that change nothing, and have a queue of their own."""
CREATIONS: Final = frozenset({"pods.create"})
"""The tasks that make pods: their callers send many at once, and each keeps the Engine busy for long."""
ENDINGS: Final = frozenset({"pods.stop", "pods.delete"})
"""The tasks that end something: they are sent when there is too much of everything else."""
HELD_QUESTIONS: Final = 100
"""Messages from the queue for questions that a worker holds at most. That is more than it answers at a time,
and each further message that it takes delays others."""
PASSES: Final = frozenset({"pods.reconcile"})
LARGEST_BODY: Final = 1_000_000
"""Bytes of a message's body. A spec has 128,000 bytes at most; a chain carries several."""
_WAITING: Final = "waiting"
_KINDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(QUESTIONS, "questions"),
    **dict.fromkeys(LOOKS, "looks"),
    **dict.fromkeys(PASSES, "passes"),
}
"""Kinds of tasks that change nothing. As many of them as one caller likes may wait for threads of their kind,
so they wait in queues of their own, where no change is behind them."""
_HELD: Final[Mapping[str, int]] = {"questions": 20, "looks": 32, "passes": 8}
"""Messages from these queues that a worker holds at most: about twice as many as it has threads for them."""
HOPS: Final = "pinacle_hops"
"""Header of a message: how often one host passed it on to another."""
ACCEPTED: Final = "pinacle_accepted"
"""Header of a message: its intent was accepted on the way, so that it can neither expire nor be revoked."""


def host_queue(host: str) -> str:
    """Return the name of one host's own queue."""
    return f"{PODS_QUEUE}.{host}"


def waiting_queue(task: str, queue: str) -> str | None:
    """Return the queue to which a worker moves a message that it took from `queue`; None if it stays."""
    kind = _KINDS.get(task)
    if kind is None or (kind, queue) == ("questions", QUESTIONS_QUEUE) or queue.startswith(f"{_WAITING}."):
        return None
    host = queue.removeprefix(PODS_QUEUE) if queue.startswith(f"{PODS_QUEUE}.") else ""
    return f"{_WAITING}.{kind}{host}"


def shared_queues() -> tuple[str, ...]:
    """Return the queues that each worker reads."""
    return (PODS_QUEUE, QUESTIONS_QUEUE, *(f"{_WAITING}.{kind}" for kind in _HELD))


def host_queues(host: str) -> tuple[str, ...]:
    """Return the queues that only the workers of one host read."""
    return (host_queue(host), *(f"{_WAITING}.{kind}.{host}" for kind in _HELD))


def most_held(queue: str) -> int | None:
    """Return how many messages from a queue a worker holds at most, None if only its total bounds them."""
    if queue == QUESTIONS_QUEUE:
        return HELD_QUESTIONS
    prefix, _, rest = queue.partition(".")
    return _HELD.get(rest.partition(".")[0]) if prefix == _WAITING else None


def queue_of(task: str) -> str:
    """Return the queue for a task that is for no particular host."""
    return QUESTIONS_QUEUE if task in BY_QUESTIONS else PODS_QUEUE
