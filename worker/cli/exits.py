"""How a command ends. Part of what scripts rely on; docs/cli.md has the list."""

from enum import IntEnum


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    """The worker refused it, or it was done and is in trouble; or a check failed; or you said no."""
    USAGE = 2
    """The command or the settings are wrong; nothing was sent."""
    UNFINISHED = 3
    """Accepted, and not there yet: it goes on."""
    NOBODY = 4
    """Redis or every worker is away, or no answer came in time."""
    INTERRUPTED = 130


class EndingError(Exception):
    """Ends a command before it has anything to show; the text says why and what to try next."""

    def __init__(self, code: Exit, text: str) -> None:
        super().__init__(text)
        self.code = code
