"""What a call may raise: a class for each kind of error, and one for kinds that are newer than this."""

import re
from typing import Any, ClassVar, Final

_BY_KIND: Final[dict[str, type["PinacleError"]]] = {}
_INNER_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def kind_of(class_name: str) -> str:
    """Return the kind that a class of errors stands for, by its name."""
    return _INNER_CAPITAL.sub("_", class_name.removesuffix("Error")).lower()


class PinacleError(Exception):
    """The base of all; itself only for a kind that this package does not know.

    `kind` is a stable word, `field` what of the arguments it is about, `retryable` whether the same request
    may work later although nobody changes anything, `docs` where it is explained, `task_id` the id under
    which the task was sent, `answer` the whole answer of a pod that is `failed`.
    """

    retryable_by_kind: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        field: str | None = None,
        retryable: bool | None = None,
        docs: str | None = None,
        task_id: str | None = None,
        answer: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or kind_of(type(self).__name__)
        self.field = field
        self.retryable = self.retryable_by_kind if retryable is None else retryable
        self.docs = docs
        self.task_id = task_id
        self.answer = answer

    def __init_subclass__(cls, *, retryable: bool = False) -> None:
        """Note the class as the one for the kind that its name says."""
        cls.retryable_by_kind = retryable
        _BY_KIND[kind_of(cls.__name__)] = cls


class InvalidInputError(PinacleError):
    """An argument is wrong; nothing was written."""


class UnknownTaskError(PinacleError):
    """No task has this name; raised before anything is sent."""


class NoWorkerError(PinacleError, retryable=True):
    """No worker reads the queue, so nothing was sent."""


class NoAnswerError(PinacleError, retryable=True):
    """No answer came in time, and the task may still be done; `task_id` is what to send it again with."""


class PodNotFoundError(PinacleError):
    """No such pod."""


class PodExistsError(PinacleError):
    """The pod exists with another spec."""


class LostUpdateError(PinacleError):
    """The pod was changed since the caller looked at it."""


class UpdateRefusedError(PinacleError):
    """Replacing the container would lose what it holds, or cannot succeed; nothing was changed."""


class ImageNotFoundError(PinacleError):
    """The image is neither on the host nor in its registry."""


class ImageUnfitError(PinacleError):
    """The image cannot be run as a pod."""


class PortTakenError(PinacleError):
    """A host port is reserved by another pod or used by another program."""


class PortsUsedUpError(PinacleError):
    """No host port is left to choose."""


class ForeignObjectError(PinacleError):
    """A container or volume has the pod's name and is not the worker's."""


class StorageMissingError(PinacleError):
    """The storage that should hold the data is not there."""


class SpecUnknownError(PinacleError):
    """After a loss of Redis, not all of the pod's spec is known."""


class RecordUnreadableError(PinacleError):
    """What is recorded of the pod cannot be read."""


class EndedError(PinacleError):
    """The pod's program has ended, and its spec says that it is not run again."""


class AlwaysFailsError(PinacleError):
    """The Engine fails with this pod in the same way each time."""


class CopyFailedError(PinacleError):
    """Data of a container could not be copied into a volume; the container still has it."""


class NotRunningError(PinacleError):
    """The pod does not run, so nothing can run in it."""


class PodBusyError(PinacleError, retryable=True):
    """Too much is asked of one pod at a time."""


class OutputTooLongError(PinacleError):
    """A command prints without end."""


class OutcomeUnknownError(PinacleError):
    """It may or may not have been done: look first."""


class InsideClosedError(PinacleError):
    """The operator does not allow anybody to look into pods."""


class ControlRefusedError(PinacleError):
    """Celery's remote control does not do this here."""


class RemovalUnfinishedError(PinacleError):
    """A deleted pod of this name is still on a host whose worker is away."""


class HostFullError(PinacleError, retryable=True):
    """The host has too little free space, or as many pods as it may have."""


class HostAwayError(PinacleError, retryable=True):
    """The worker of the pod's host is away."""


class HostsSilentError(PinacleError):
    """Redis was emptied, and not all hosts have reported their pods yet."""


class InstallationTakenError(PinacleError):
    """What is on the Engine belongs to another installation."""


class InstallationUnsureError(PinacleError, retryable=True):
    """What is on the Engine may belong to another installation."""


class NetworkOpenError(PinacleError):
    """Pods could reach each other on their network."""


class RegistryUnavailableError(PinacleError, retryable=True):
    """The image is not on the host, and its registry cannot be asked."""


class EngineUnavailableError(PinacleError, retryable=True):
    """The Engine cannot be reached."""


class EngineTooOldError(PinacleError, retryable=True):
    """The Engine's API is too old."""


class StoreUnavailableError(PinacleError, retryable=True):
    """Redis cannot be reached, or refuses."""


class TryAgainError(PinacleError, retryable=True):
    """It may work later."""


class RefusedError(PinacleError):
    """It will not work until somebody changes something."""


class RevokedError(PinacleError):
    """Somebody revoked the task, or it expired before a worker took it."""


class PoisonedTaskError(PinacleError):
    """The message was taken too often without ever being finished."""


class InternalError(PinacleError):
    """The worker failed in a way that it should not; its log says how."""


_CELERYS: Final = {"NotRegistered": "unknown_task", "TaskRevokedError": "revoked"}


def kinds() -> frozenset[str]:
    """Return all kinds that have a class here."""
    return frozenset(_BY_KIND)


def described(told: dict[str, Any], *, task_id: str, answer: dict[str, Any] | None = None) -> PinacleError:
    """Return the error that a worker described in its object of `kind`, `message` and so on."""
    kind, retryable = str(told.get("kind", "refused")), told.get("retryable")
    return _BY_KIND.get(kind, PinacleError)(
        str(told.get("message") or kind),
        kind=kind,
        field=told.get("field"),
        retryable=retryable if isinstance(retryable, bool) else None,
        docs=told.get("docs"),
        task_id=task_id,
        answer=answer,
    )


def raised(error: BaseException, *, task_id: str) -> PinacleError:
    """Return the error for what a task raised, as Celery makes it from the stored name and arguments."""
    text, *more = error.args or ("",)
    told = more[0] if more and isinstance(more[0], dict) and "kind" in more[0] else {}
    if not told:
        # An older worker says only the name of its class.
        name = type(error).__name__
        told = {"kind": _CELERYS.get(name, kind_of(name))}
    return described({"message": str(text), **told}, task_id=task_id)


def failed(answer: dict[str, Any], *, task_id: str) -> PinacleError:
    """Return the error for an answer with the phase `failed`."""
    told = answer.get("error")
    told = told if isinstance(told, dict) else {}
    text = answer.get("last_error") or "the pod is failed"
    return described({"message": text, **told}, task_id=task_id, answer=answer)
