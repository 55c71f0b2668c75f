"""The stream of changes: read on, through restarts of Redis, from where the reader was."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import TimeoutError as NoReplyError

from .errors import StoreUnavailableError

if TYPE_CHECKING:
    from redis import Redis

STREAM: Final = "pinacle:events"
BEGINNING: Final = "0-0"
_BLOCK_S: Final = 3.0
"""Shorter than the client's time-out for any answer."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_AT_ONCE: Final = 100


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of phase of one pod."""

    id: str
    """Its place in the stream: save it after your work, and go on after it with `follow(since=id)`."""
    pod_id: str
    phase: str
    previous: str
    """The phase before; empty for a new pod."""
    host: str
    generation: int
    """The number of the intent that was carried out; 0 if it is not told."""
    reason: str
    missed: bool
    """Whether changes before this one may be lost: ask `pods.list` where every pod stands."""


def newest(redis: "Redis") -> str:
    """Return the id after which everything is still to come. Raises StoreUnavailableError."""
    try:
        found: Any = redis.xrevrange(STREAM, count=1)
    except RedisError as error:
        raise StoreUnavailableError("Redis cannot be reached, or refuses to be asked") from error
    return str(found[0][0]) if found else BEGINNING


def changes(redis: "Redis", since: str, *, within_s: float | None) -> Iterator[Change]:
    """Yield each change after `since`, and wait for more, at most `within_s` seconds or without end.

    While Redis is away it tries again; raises StoreUnavailableError if Redis refuses.
    """
    deadline = inf if within_s is None else time.monotonic() + within_s
    pause_s = _FIRST_PAUSE_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            found = _read(redis, since, min(_BLOCK_S, left_s))
        except (AuthenticationError, AuthorizationError) as error:
            raise StoreUnavailableError("Redis refuses the name or the password") from error
        except (NoConnectionError, NoReplyError):
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            continue
        except RedisError as error:
            raise StoreUnavailableError("Redis refuses to read the stream of changes") from error
        pause_s = _FIRST_PAUSE_S
        for change in found:
            yield change
            since = change.id


def _read(redis: "Redis", since: str, block_s: float) -> list[Change]:
    reply: Any = redis.xread({STREAM: since}, count=_AT_ONCE, block=max(1, int(block_s * 1000)))
    entries = reply[0][1] if reply else []
    # Redis gives no sign of a gap: it shows only in that the last entry is gone.
    missed = bool(entries) and since != BEGINNING and not redis.xrange(STREAM, since, since)
    return [
        _change(change_id, told, missed=missed and place == 0)
        for place, (change_id, told) in enumerate(entries)
    ]


def _change(change_id: str, told: dict[str, str], *, missed: bool) -> Change:
    generation = told.get("generation", "")
    return Change(
        id=change_id,
        pod_id=told.get("pod_id", ""),
        phase=told.get("phase", ""),
        previous=told.get("previous", ""),
        host=told.get("host", ""),
        generation=int(generation) if generation.isdecimal() else 0,
        reason=told.get("reason", ""),
        missed=missed,
    )
