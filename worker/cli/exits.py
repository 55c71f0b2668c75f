"""How a command ends. Scripts rely on this; docs/cli.md has the list."""

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    """The worker refused it, or accepted it and the pod is in trouble, or a check failed, or you said no."""
    USAGE = 2
    """The command or the settings are wrong; nothing was sent."""
    UNFINISHED = 3
    """It was accepted and is not done yet: the worker goes on."""
    NOBODY = 4
    """Redis or all workers are away, or no answer came in time."""
    INTERRUPTED = 130


class EndingError(Exception):
    """Ends a command before it has anything to show; the text says why and what to try next."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code


class OtherVersionError(EndingError):
    """The worker does not know an argument that this command sends."""
