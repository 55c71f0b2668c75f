"""Two kinds of error: try again later, or never.

Adapters translate what their library raises and chain it with `from`. Errors carry one text, made for
the person who reads a task's result, and never a value of a pod's `env`. They do not log; the edge does.
"""


class PodError(Exception):
    """What every error of ours is; the text says what was wrong and what to do."""


class RetryableError(PodError):
    """It may work later, without anybody changing anything."""

    def __init__(self, message: str, *, delay_s: float | None = None) -> None:
        """`delay_s`: when to try again, if the raiser knows better than the back-off."""
        super().__init__(message)
        self.delay_s = delay_s


class PermanentError(PodError):
    """It will not work until somebody changes something."""


class EngineUnavailableError(RetryableError):
    """The Engine cannot be reached or fails inside (5xx): what is true there is unknown, not gone."""


class EngineFailedError(EngineUnavailableError):
    """The Engine answered that it failed inside (5xx), in words that may be about only one pod."""


class EngineTooOldError(EngineUnavailableError):
    """The Engine answers, and speaks an API that is too old; a newer one may take its place."""


class OutcomeUnknownError(RetryableError):
    """A call was sent and no answer came in time: it may or may not have been done."""


class ConflictError(RetryableError):
    """The Engine is busy with the same object: in use, or being made or removed."""


class ObjectMissingError(RetryableError):
    """The object of a step is not there any more: look and plan again."""


class StoreUnavailableError(RetryableError):
    """Redis cannot be reached or refuses to write."""


class LeaseHeldError(RetryableError):
    """Another process holds the right to change this pod."""


class LeaseLostError(RetryableError):
    """The right to change this pod expired or passed on; nothing more may be sent."""


class GenerationConflictError(RetryableError):
    """The intent changed between reading it and writing the next one."""


class HostFullError(RetryableError):
    """Too little disk space is free to create a pod, or the host has as many as it may have."""


class StorageMissingError(PermanentError):
    """The storage that should hold the data is not there: nothing is made in its place."""


class InstallationAskedError(RetryableError):
    """The installation may be another store's: its owner has the time to say so."""


class InstallationTakenError(PermanentError):
    """The installation is another store's: nothing is made, changed or removed from here."""


class RemovalUnfinishedError(PermanentError):
    """A deleted pod is still on a host whose worker is away: no new one gets its name meanwhile."""


class NetworkOpenError(PermanentError):
    """On the network of all pods they reach each other: no new one is put there."""


class HostsSilentError(PermanentError):
    """Redis was emptied, and not all hosts have reported their pods yet."""


class InvalidInputError(PermanentError):
    """An argument is wrong; nothing was written."""


class PodNotFoundError(PermanentError):
    """No such pod."""


class RecordUnreadableError(PermanentError):
    """What is recorded of the pod cannot be read; nothing was written."""


class PodExistsError(PermanentError):
    """The pod exists with another spec."""


class ForeignObjectError(PermanentError):
    """A container or volume has a pod's name and is not ours."""


class ImageNotFoundError(PermanentError):
    """The image is neither on the host nor where its name points."""


class ImageGoneError(RetryableError):
    """The pinned image id is not on the host any more; the planner decides what follows."""


class RegistryUnavailableError(RetryableError):
    """The image is not on the host, and its registry cannot be asked for it."""


class RegistryBusyError(RegistryUnavailableError):
    """Nobody waits for this registry now: it does not answer, or many others ask."""


class AlwaysFailsError(PermanentError):
    """The Engine fails with one pod in the same way each time, and not with others."""


class UpdateRefusedError(PermanentError):
    """Replacing the container would lose what it holds, or cannot succeed; nothing was changed."""


class CopyFailedError(PermanentError):
    """What a container holds could not be copied into a volume; it still has it."""


class PortTakenError(PermanentError):
    """A host port is reserved by another pod or used by another program."""


class RangeUsedUpError(PortTakenError):
    """No port is left to be chosen."""


class PoisonedTaskError(PermanentError):
    """A message was taken too often without ever being finished."""
