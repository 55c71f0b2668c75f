"""Two kinds of error: try again later, or never. And a stable word for what each of them is about.

Adapters translate what their libraries raise, and chain it with `from`. An error has one text, made for the
person who reads a task's result, and never a value of a pod's `env`. Errors do not log; the edge does.

A program goes by what `described` returns. Celery's backend stores `args`, so these are the text and that.
"""

import re
from enum import StrEnum
from typing import Any, ClassVar, Final


class ErrorKind(StrEnum):
    """What an error is about; part of the contract. docs/errors.md has the meaning of each."""

    INVALID_INPUT = "invalid_input"
    UNKNOWN_TASK = "unknown_task"
    POD_NOT_FOUND = "pod_not_found"
    POD_EXISTS = "pod_exists"
    LOST_UPDATE = "lost_update"
    UPDATE_REFUSED = "update_refused"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_UNFIT = "image_unfit"
    PORT_TAKEN = "port_taken"
    PORTS_USED_UP = "ports_used_up"
    FOREIGN_OBJECT = "foreign_object"
    STORAGE_MISSING = "storage_missing"
    SPEC_UNKNOWN = "spec_unknown"
    RECORD_UNREADABLE = "record_unreadable"
    ENDED = "ended"
    ALWAYS_FAILS = "always_fails"
    COPY_FAILED = "copy_failed"
    NOT_RUNNING = "not_running"
    POD_BUSY = "pod_busy"
    OUTPUT_TOO_LONG = "output_too_long"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INSIDE_CLOSED = "inside_closed"
    CONTROL_REFUSED = "control_refused"
    REMOVAL_UNFINISHED = "removal_unfinished"
    HOST_FULL = "host_full"
    HOST_AWAY = "host_away"
    HOSTS_SILENT = "hosts_silent"
    INSTALLATION_TAKEN = "installation_taken"
    INSTALLATION_UNSURE = "installation_unsure"
    NETWORK_OPEN = "network_open"
    REGISTRY_UNAVAILABLE = "registry_unavailable"
    ENGINE_UNAVAILABLE = "engine_unavailable"
    ENGINE_TOO_OLD = "engine_too_old"
    STORE_UNAVAILABLE = "store_unavailable"
    TRY_AGAIN = "try_again"
    REFUSED = "refused"
    POISONED_TASK = "poisoned_task"
    INTERNAL = "internal"
    # These come from the command line itself, never from a worker.
    USAGE = "usage"
    NO_ANSWER = "no_answer"
    UNFINISHED = "unfinished"
    INTERRUPTED = "interrupted"


RETRYABLE: Final = frozenset(
    {
        ErrorKind.POD_BUSY,
        ErrorKind.HOST_FULL,
        ErrorKind.HOST_AWAY,
        ErrorKind.INSTALLATION_UNSURE,
        ErrorKind.REGISTRY_UNAVAILABLE,
        ErrorKind.ENGINE_UNAVAILABLE,
        ErrorKind.ENGINE_TOO_OLD,
        ErrorKind.STORE_UNAVAILABLE,
        ErrorKind.TRY_AGAIN,
        ErrorKind.NO_ANSWER,
    }
)
"""What may work later although nobody changes anything: sending it again does no harm."""
DOCS: Final = "docs/errors.md"
"""The page with a row, and an anchor, for each kind."""
ARGUMENTS: Final = frozenset(
    {
        *("pod_id", "spec", "adopt", "force", "recreate", "replace", "expected_generation", "discard"),
        *("orphans", "labels", "phase", "host", "fields", "after", "limit", "old", "new"),
        *("tail", "since", "command", "user", "timeout_s", "dry_run"),
    }
)
"""The names of the tasks' arguments. A text about one begins with its name, or with a path below it."""
_FIELD: Final = re.compile(r"([a-z_]+)((?:\.[A-Za-z0-9_./-]+|\[\d+\])*): ")


def described(kind: str, message: str, field: str | None = None) -> dict[str, Any]:
    """Return an error as programs read it: plain JSON, the same wherever an error is told.

    A `kind` that a newer worker recorded is passed on as it is.
    """
    return {
        "kind": str(kind),
        "field": field or field_of(message),
        "message": message,
        "retryable": kind in RETRYABLE,
        "docs": f"{DOCS}#{kind}",
    }


def field_of(message: str) -> str | None:
    """Return what of the arguments a text is about: the path that it begins with, None if with none."""
    found = _FIELD.match(message)
    return found[1] + found[2] if found is not None and found[1] in ARGUMENTS else None


def told_by(error: BaseException) -> dict[str, Any] | None:
    """Return what a task's failure says for programs; None if it is not one of ours, such as a revocation."""
    told = error.args[1] if len(error.args) > 1 else None
    return told if isinstance(told, dict) and "kind" in told else None


class PodError(Exception):
    """The base of all our errors; the text says what is wrong and what to do."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERNAL

    def __init__(self, message: str, told: dict[str, Any] | None = None) -> None:
        """`told` is what the sender of an error said for programs, when Celery makes it again from `args`."""
        super().__init__(message, described(self.kind, message) if told is None else told)

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        # Flower, worker events and logs show this.
        return f"{type(self).__name__}({str(self)!r}, kind={str(self.kind)!r})"


class InternalError(PodError):
    """The worker failed in a way that it should not; its log says how."""


class RetryableError(PodError):
    """It may work later although nobody changes anything."""

    kind = ErrorKind.TRY_AGAIN

    def __init__(
        self, message: str, told: dict[str, Any] | None = None, *, delay_s: float | None = None
    ) -> None:
        """`delay_s` is the shortest time until the next try, if the raiser knows one."""
        super().__init__(message, told)
        self.delay_s = delay_s


class PermanentError(PodError):
    """It will not work until somebody changes something."""

    kind = ErrorKind.REFUSED


class EngineUnavailableError(RetryableError):
    """The Engine cannot be reached or fails inside (5xx): what it has is unknown, not gone."""

    kind = ErrorKind.ENGINE_UNAVAILABLE


class EngineFailedError(EngineUnavailableError):
    """The Engine answered that it failed inside (5xx), in words that may be about only one pod."""


class EngineTooOldError(EngineUnavailableError):
    """The Engine answers but speaks an API that is too old; a newer Engine may replace it."""

    kind = ErrorKind.ENGINE_TOO_OLD


class OutcomeUnknownError(RetryableError):
    """A call was sent and no answer came in time: it may or may not have been done."""

    kind = ErrorKind.OUTCOME_UNKNOWN


class ConflictError(RetryableError):
    """The object is in use, or the Engine is making or removing it."""


class ObjectMissingError(RetryableError):
    """The object of a step no longer exists: look and plan again."""


class StoreUnavailableError(RetryableError):
    """Redis cannot be reached or refuses to write."""

    kind = ErrorKind.STORE_UNAVAILABLE


class LeaseHeldError(RetryableError):
    """Another process holds the right to change this pod."""


class LeaseLostError(RetryableError):
    """The right to change this pod expired or another process has it; nothing more may be sent."""


class GenerationConflictError(RetryableError):
    """The intent changed between reading it and writing the next one."""


class HostFullError(RetryableError):
    """Too little disk space is free to create a pod, or the host has as many as it may have."""

    kind = ErrorKind.HOST_FULL


class StorageMissingError(PermanentError):
    """The storage that should hold the data is not there: nothing is made in its place."""

    kind = ErrorKind.STORAGE_MISSING


class InstallationAskedError(RetryableError):
    """The installation may be another store's: its owner gets time to say so."""

    kind = ErrorKind.INSTALLATION_UNSURE


class InstallationTakenError(PermanentError):
    """The installation is another store's: nothing is made, changed or removed from here."""

    kind = ErrorKind.INSTALLATION_TAKEN


class RemovalUnfinishedError(PermanentError):
    """A deleted pod is still on a host whose worker is away: no new one gets its name meanwhile."""

    kind = ErrorKind.REMOVAL_UNFINISHED


class NetworkOpenError(PermanentError):
    """Pods could reach each other on their network, so no new pod is attached to it."""

    kind = ErrorKind.NETWORK_OPEN


class HostAwayError(RetryableError):
    """The pod is on a host whose worker is away: only that can answer."""

    kind = ErrorKind.HOST_AWAY


class HostsSilentError(PermanentError):
    """Redis was emptied, and not all hosts have reported their pods yet."""

    kind = ErrorKind.HOSTS_SILENT


class InvalidInputError(PermanentError):
    """An argument is wrong; nothing was written."""

    kind = ErrorKind.INVALID_INPUT


class PodNotFoundError(PermanentError):
    """No such pod."""

    kind = ErrorKind.POD_NOT_FOUND


class RecordUnreadableError(PermanentError):
    """What is recorded of the pod cannot be read; nothing was written."""

    kind = ErrorKind.RECORD_UNREADABLE


class NotRunningError(PermanentError):
    """The pod's container does not run, so nothing can run in it."""

    kind = ErrorKind.NOT_RUNNING


class OutputTooLongError(PermanentError):
    """A command prints without end, and is followed no longer."""

    kind = ErrorKind.OUTPUT_TOO_LONG


class PodBusyError(RetryableError):
    """Too much is asked of one pod at a time."""

    kind = ErrorKind.POD_BUSY


class InsideClosedError(PermanentError):
    """The operator does not allow anybody to look into pods."""

    kind = ErrorKind.INSIDE_CLOSED


class LostUpdateError(PermanentError):
    """The pod was changed since the caller looked at it."""

    kind = ErrorKind.LOST_UPDATE


class PodExistsError(PermanentError):
    """The pod exists with another spec."""

    kind = ErrorKind.POD_EXISTS


class ForeignObjectError(PermanentError):
    """A container or volume has a pod's name but is not ours."""

    kind = ErrorKind.FOREIGN_OBJECT


class ImageNotFoundError(PermanentError):
    """The image is neither on the host nor in the registry that its name points to."""

    kind = ErrorKind.IMAGE_NOT_FOUND


class ImageGoneError(RetryableError):
    """The pinned image id is not on the host any more; the planner decides what follows."""


class RegistryUnavailableError(RetryableError):
    """The image is not on the host, and its registry cannot be asked."""

    kind = ErrorKind.REGISTRY_UNAVAILABLE


class RegistryBusyError(RegistryUnavailableError):
    """The registry is not asked now: it does not answer, or too many ask."""


class AlwaysFailsError(PermanentError):
    """The Engine fails with one pod in the same way each time, and not with others."""

    kind = ErrorKind.ALWAYS_FAILS


class UpdateRefusedError(PermanentError):
    """Replacing the container would lose what it holds, or cannot succeed; nothing was changed."""

    kind = ErrorKind.UPDATE_REFUSED


class CopyFailedError(PermanentError):
    """Data of a container could not be copied into a volume; the container still has it."""

    kind = ErrorKind.COPY_FAILED


class PortTakenError(PermanentError):
    """A host port is reserved by another pod or used by another program."""

    kind = ErrorKind.PORT_TAKEN


class RangeUsedUpError(PortTakenError):
    """No port is left to choose."""

    kind = ErrorKind.PORTS_USED_UP


class PoisonedTaskError(PermanentError):
    """A message was taken too often without ever being finished."""

    kind = ErrorKind.POISONED_TASK
