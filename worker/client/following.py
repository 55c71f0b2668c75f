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
PROGRESS: Final = "pinacle:progress"
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


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the pull of a pod's image has come. It changes no phase, and older ones are not told again."""

    pod_id: str
    host: str
    generation: int
    image: str
    done_bytes: int
    total_bytes: int
    """Of the layers whose size is known so far, so it may grow."""
    done_layers: int
    total_layers: int


def newest(redis: "Redis", stream: str = STREAM) -> str:
    """Return the id after which everything is still to come. Raises StoreUnavailableError."""
    try:
        found: Any = redis.xrevrange(stream, count=1)
    except RedisError as error:
        raise StoreUnavailableError("Redis cannot be reached, or refuses to be asked") from error
    return str(found[0][0]) if found else BEGINNING


def changes(redis: "Redis", since: str, *, within_s: float | None) -> Iterator[Change]:
    """Yield each change after `since`, as `news` does."""
    for each in news(redis, since, within_s=within_s):
        if isinstance(each, Change):
            yield each


def news(
    redis: "Redis", since: str, *, within_s: float | None, pulls_since: str | None = None
) -> Iterator[Change | Progress]:
    """Yield each change after `since`, and wait for more, at most `within_s` seconds or without end.

    With `pulls_since`, a place in the stream of pulls, also how far pulls have come after it. While Redis is
    away it tries again; raises StoreUnavailableError if Redis refuses.
    """
    deadline = inf if within_s is None else time.monotonic() + within_s
    places = {STREAM: since} | ({} if pulls_since is None else {PROGRESS: pulls_since})
    pause_s = _FIRST_PAUSE_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            found = _read(redis, places, min(_BLOCK_S, left_s))
        except (AuthenticationError, AuthorizationError) as error:
            raise StoreUnavailableError("Redis refuses the name or the password") from error
        except (NoConnectionError, NoReplyError):
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            continue
        except RedisError as error:
            raise StoreUnavailableError("Redis refuses to read the stream of changes") from error
        pause_s = _FIRST_PAUSE_S
        for stream, place, told in found:
            yield told
            places[stream] = place


def _read(redis: "Redis", places: dict[str, str], block_s: float) -> list[tuple[str, str, Change | Progress]]:
    """Return what is new in each stream, in the order in which it was written, with its places."""
    wanted: dict[Any, Any] = dict(places)
    reply: Any = redis.xread(wanted, count=_AT_ONCE, block=max(1, int(block_s * 1000)))
    entries = [(stream, place, told) for stream, some in reply for place, told in some]
    # One clock gives the ids in both.
    entries.sort(key=lambda entry: [int(part) for part in entry[1].split("-")])
    # Redis gives no sign of a gap: it shows only in that the last entry is gone.
    since = places[STREAM]
    first = next((place for stream, place, _ in entries if stream == STREAM), None)
    missed = first is not None and since != BEGINNING and not redis.xrange(STREAM, since, since)
    return [
        (stream, place, _change(place, told, missed=missed and place == first))
        if stream == STREAM
        else (stream, place, _progress(told))
        for stream, place, told in entries
    ]


def _change(change_id: str, told: dict[str, str], *, missed: bool) -> Change:
    return Change(
        id=change_id,
        pod_id=told.get("pod_id", ""),
        phase=told.get("phase", ""),
        previous=told.get("previous", ""),
        host=told.get("host", ""),
        generation=_number(told, "generation"),
        reason=told.get("reason", ""),
        missed=missed,
    )


def _progress(told: dict[str, str]) -> Progress:
    return Progress(
        pod_id=told.get("pod_id", ""),
        host=told.get("host", ""),
        generation=_number(told, "generation"),
        image=told.get("image", ""),
        done_bytes=_number(told, "done_bytes"),
        total_bytes=_number(told, "total_bytes"),
        done_layers=_number(told, "done_layers"),
        total_layers=_number(told, "total_layers"),
    )


def _number(told: dict[str, str], name: str) -> int:
    text = told.get(name, "")
    return int(text) if text.isdecimal() else 0
