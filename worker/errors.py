"""Two kinds of error: try again later, or never.

Adapters translate what their libraries raise, and chain it with `from`. An error has one text, made for the
person who reads a task's result, and never a value of a pod's `env`. Errors do not log; the edge does.
"""


class PodError(Exception):
    """The base of all our errors; the text says what is wrong and what to do."""


class RetryableError(PodError):
    """It may work later although nobody changes anything."""

    def __init__(self, message: str, *, delay_s: float | None = None) -> None:
        """`delay_s` is when to try again, if the raiser knows better than the back-off."""
        super().__init__(message)
        self.delay_s = delay_s


class PermanentError(PodError):
    """It will not work until somebody changes something."""


class EngineUnavailableError(RetryableError):
    """The Engine cannot be reached or fails inside (5xx): what it has is unknown, not gone."""


class EngineFailedError(EngineUnavailableError):
    """The Engine answered that it failed inside (5xx), in words that may be about only one pod."""


class EngineTooOldError(EngineUnavailableError):
    """The Engine answers but speaks an API that is too old; a newer Engine may replace it."""


class OutcomeUnknownError(RetryableError):
    """A call was sent and no answer came in time: it may or may not have been done."""


class ConflictError(RetryableError):
    """The object is in use, or the Engine is making or removing it."""


class ObjectMissingError(RetryableError):
    """The object of a step no longer exists: look and plan again."""


class StoreUnavailableError(RetryableError):
    """Redis cannot be reached or refuses to write."""


class LeaseHeldError(RetryableError):
    """Another process holds the right to change this pod."""


class LeaseLostError(RetryableError):
    """The right to change this pod expired or another process has it; nothing more may be sent."""


class GenerationConflictError(RetryableError):
    """The intent changed between reading it and writing the next one."""


class HostFullError(RetryableError):
    """Too little disk space is free to create a pod, or the host has as many as it may have."""


class StorageMissingError(PermanentError):
    """The storage that should hold the data is not there: nothing is made in its place."""


class InstallationAskedError(RetryableError):
    """The installation may be another store's: its owner gets time to say so."""


class InstallationTakenError(PermanentError):
    """The installation is another store's: nothing is made, changed or removed from here."""


class RemovalUnfinishedError(PermanentError):
    """A deleted pod is still on a host whose worker is away: no new one gets its name meanwhile."""


class NetworkOpenError(PermanentError):
    """Pods could reach each other on their network, so no new pod is attached to it."""


class HostAwayError(RetryableError):
    """The pod is on a host whose worker is away: only that can answer."""


class HostsSilentError(PermanentError):
    """Redis was emptied, and not all hosts have reported their pods yet."""


class InvalidInputError(PermanentError):
    """An argument is wrong; nothing was written."""


class PodNotFoundError(PermanentError):
    """No such pod."""


class RecordUnreadableError(PermanentError):
    """What is recorded of the pod cannot be read; nothing was written."""


class NotRunningError(PermanentError):
    """The pod's container does not run, so nothing can run in it."""


class OutputTooLongError(PermanentError):
    """A command prints without end, and is followed no longer."""


class PodBusyError(RetryableError):
    """Too much is asked of one pod at a time."""


class InsideClosedError(PermanentError):
    """The operator does not allow anybody to look into pods."""


class LostUpdateError(PermanentError):
    """The pod was changed since the caller looked at it."""


class PodExistsError(PermanentError):
    """The pod exists with another spec."""


class ForeignObjectError(PermanentError):
    """A container or volume has a pod's name but is not ours."""


class ImageNotFoundError(PermanentError):
    """The image is neither on the host nor in the registry that its name points to."""


class ImageGoneError(RetryableError):
    """The pinned image id is not on the host any more; the planner decides what follows."""


class RegistryUnavailableError(RetryableError):
    """The image is not on the host, and its registry cannot be asked."""


class RegistryBusyError(RegistryUnavailableError):
    """The registry is not asked now: it does not answer, or too many ask."""


class AlwaysFailsError(PermanentError):
    """The Engine fails with one pod in the same way each time, and not with others."""


class UpdateRefusedError(PermanentError):
    """Replacing the container would lose what it holds, or cannot succeed; nothing was changed."""


class CopyFailedError(PermanentError):
    """Data of a container could not be copied into a volume; the container still has it."""


class PortTakenError(PermanentError):
    """A host port is reserved by another pod or used by another program."""


class RangeUsedUpError(PortTakenError):
    """No port is left to choose."""


class PoisonedTaskError(PermanentError):
    """A message was taken too often without ever being finished."""
