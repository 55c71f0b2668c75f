"""What pods are wanted to be, and where they stand: words of the contract, all that a command line needs."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a pod stands on its way to its intent; part of the contract."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    STORAGE_MISSING = "storage_missing"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


RESTING_PHASES: Final = frozenset(
    {Phase.RUNNING, Phase.STOPPED, Phase.BACKOFF, Phase.STORAGE_MISSING, Phase.DELETED, Phase.FAILED}
)
"""Phases in which a task has its answer: nothing more happens at once."""


class IntentKind(StrEnum):
    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"
