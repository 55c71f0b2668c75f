"""Names that callers and workers agree on: queues, which task goes into which, headers of messages."""

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
ENDINGS: Final = frozenset({"pods.stop", "pods.delete"})
"""The tasks that end something: they are sent when there is too much of everything else."""
HELD_QUESTIONS: Final = 100
"""Messages from the queue for questions that a worker holds at most. That is more than it answers at a time,
and each further message that it takes delays others."""
HOPS: Final = "pinacle_hops"
"""Header of a message: how often one host passed it on to another."""
ACCEPTED: Final = "pinacle_accepted"
"""Header of a message: its intent was accepted on the way, so that it can neither expire nor be revoked."""


def host_queue(host: str) -> str:
    """Return the name of one host's own queue."""
    return f"{PODS_QUEUE}.{host}"


def queue_of(task: str) -> str:
    """Return the queue for a task that is for no particular host."""
    return QUESTIONS_QUEUE if task in BY_QUESTIONS else PODS_QUEUE
