"""How a command ends. Scripts rely on this; docs/errors.md has the list."""

import re
from enum import IntEnum
from typing import Any, Final

from worker.errors import RETRYABLE, ErrorKind, described


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    """The worker refused it, or accepted it and the pod is in trouble, or a check failed, or you said no."""
    USAGE = 2
    """The command or the settings are wrong; nothing was sent."""
    UNFINISHED = 3
    """It was accepted and is not done yet: the worker goes on."""
    NOBODY = 4
    """Redis or all workers are away, or no answer came in time; or what is asked for may work later."""
    INTERRUPTED = 130


_KINDS: Final = {
    Exit.FAILED: ErrorKind.REFUSED,
    Exit.USAGE: ErrorKind.USAGE,
    Exit.UNFINISHED: ErrorKind.UNFINISHED,
    Exit.NOBODY: ErrorKind.NO_ANSWER,
    Exit.INTERRUPTED: ErrorKind.INTERRUPTED,
}
"""What a command that ends so ends of, if it was not a worker who said it."""
_CODES: Final[dict[str, Exit]] = {kind: code for code, kind in _KINDS.items()}
_NEXT: Final[dict[str, str]] = {
    ErrorKind.POD_NOT_FOUND: "`pinacle pods list` shows those that exist",
    ErrorKind.POD_EXISTS: "`pinacle pods update` changes it",
    ErrorKind.LOST_UPDATE: "`pinacle pods get` shows what it is now",
    ErrorKind.NOT_RUNNING: "`pinacle pods get` shows why",
    ErrorKind.HOST_AWAY: "`pinacle hosts list` shows which workers are there",
    ErrorKind.HOSTS_SILENT: "`pinacle hosts list` shows which workers are there",
    ErrorKind.INSTALLATION_TAKEN: "`pinacle doctor` looks into it",
    ErrorKind.NETWORK_OPEN: "`pinacle doctor` looks into it",
    ErrorKind.REGISTRY_UNAVAILABLE: "Try again later",
    ErrorKind.ENGINE_UNAVAILABLE: "`pinacle doctor` looks into it",
    ErrorKind.ENGINE_TOO_OLD: "`pinacle doctor` looks into it",
    ErrorKind.STORE_UNAVAILABLE: "`pinacle doctor` looks into it",
    ErrorKind.TRY_AGAIN: "Try again",
}
"""What to try next, where the text of a worker cannot know it: it does not know who reads it."""

_HOST_PORT: Final = re.compile(r"spec\.ports\[\d+\]\.host")
"""Docker has it the other way round, so the two are often mistaken for each other."""


class EndingError(Exception):
    """Ends a command before it has anything to show; the text says why and what to try next."""

    def __init__(self, code: Exit, text: str, told: dict[str, Any] | None = None) -> None:
        """`told` is what a worker said for programs, if it was a worker."""
        super().__init__(text)
        self.code = code
        self.told = described(_KINDS[code], text) if told is None else told

    def shown(self) -> dict[str, Any]:
        """Return it for programs, with the text that people get."""
        return self.told | {"message": str(self)}


def exit_of(kind: str) -> Exit:
    """Return the exit code for an error of a kind, that of a worker or of the command itself."""
    return _CODES.get(kind, Exit.NOBODY if kind in RETRYABLE else Exit.FAILED)


def refused(text: str, told: dict[str, Any]) -> EndingError:
    """Return the end of a command that a worker refused, with what to try next where that is known."""
    further = _NEXT.get(told["kind"])
    if told["kind"] == ErrorKind.INVALID_INPUT and _HOST_PORT.fullmatch(told.get("field") or ""):
        further = "The order of `--port` is CONTAINER:HOST"
    said = text if further is None or further in text else f"{text.rstrip('.')}. {further}"
    return EndingError(exit_of(told["kind"]), said, told)


class OtherVersionError(EndingError):
    """The worker does not know an argument that this command sends."""
