"""Parses plain JSON into a question about the inside of a pod, or an error that says what is right. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from worker.errors import InvalidInputError
from worker.quoting import shown

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 128_000
"""Of output in one answer, which stays in Redis for some minutes."""
DEFAULT_TIMEOUT_S: Final = 20
_MOST_WORDS: Final = 1000
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?")


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The last lines that a pod's container printed."""

    tail: int
    since: float | None
    """Seconds since the epoch; what was printed before is left out."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A command that runs once in a pod's container, beside its other processes."""

    command: tuple[str, ...]
    user: str | None
    """None means the user that the container runs as."""
    timeout_s: float


def parse_logs(tail: Any, since: Any) -> Logs:
    """Return what is asked for. Raises InvalidInputError."""
    if not isinstance(tail, int) or isinstance(tail, bool) or not 1 <= tail <= MOST_LINES:
        raise InvalidInputError(f"tail: {shown(tail)} is not allowed; allowed: 1 to {MOST_LINES} lines")
    return Logs(tail=tail, since=None if since is None else _parse_moment(since))


def parse_execution(command: Any, user: Any, timeout_s: Any, *, longest_s: float) -> Execution:
    """Return what is asked for, limited to `longest_s` seconds. Raises InvalidInputError.

    The default time-out is cut to `longest_s` if it would be longer.
    """
    if user is not None and not (isinstance(user, str) and _USER.fullmatch(user)):
        raise InvalidInputError(
            f"user: {shown(user)} is not allowed; allowed: a user name or id, such as 'www-data' or "
            "'1000:1000'"
        )
    return Execution(
        command=_parse_command(command), user=user, timeout_s=_parse_timeout(timeout_s, longest_s)
    )


def _parse_command(command: Any) -> tuple[str, ...]:
    """Return the words of a command. Errors do not quote them, as they may be secret."""
    allowed = "allowed: a list of 1 to 1000 strings, such as ['ls', '-l'] or ['sh', '-c', 'ls | wc -l']"
    if not isinstance(command, list | tuple) or not 1 <= len(command) <= _MOST_WORDS or command[0] == "":
        raise InvalidInputError(f"command: {_kind(command)} is not allowed; {allowed}")
    if not all(isinstance(word, str) and "\0" not in word for word in command):
        raise InvalidInputError(f"command: a word of it is no string, or holds a NUL; {allowed}")
    size = sum(len(word.encode(errors="surrogatepass")) for word in command)
    if size > MOST_BYTES:
        raise InvalidInputError(f"command: {size} bytes; allowed: {MOST_BYTES}")
    return tuple(command)


def _kind(command: Any) -> str:
    return f"a list of {len(command)}" if isinstance(command, list | tuple) else shown(command)


def _parse_timeout(timeout_s: Any, longest_s: float) -> float:
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if is_number and timeout_s == DEFAULT_TIMEOUT_S:
        return min(float(timeout_s), longest_s)
    if not is_number or not 0 < timeout_s <= longest_s:
        raise InvalidInputError(
            f"timeout_s: {shown(timeout_s)} is not allowed; allowed: seconds above 0, at most {longest_s:g}, "
            "which is what a task waits (PINACLE_TASK_WAIT_S)"
        )
    return float(timeout_s)


def _parse_moment(since: Any) -> float:
    if isinstance(since, int | float) and not isinstance(since, bool) and 0 <= since < 2**40:
        return float(since)
    if isinstance(since, str):
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            moment = None
        if moment is not None and moment.tzinfo is not None:
            return moment.timestamp()
    raise InvalidInputError(
        f"since: {shown(since)} is not allowed; allowed: seconds since the epoch, or a time with its zone, "
        "such as '2026-11-27T10:00:00Z'"
    )
