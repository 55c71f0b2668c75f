"""What an operator asks about Redis as a whole, such as its clock and all heartbeats. It writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from config.queues import UNREAD_QUEUE, host_queues, shared_queues
from worker.store import keys
from worker.store.translate import translated

_DURABLE: Final = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
_EVENTS_AT_ONCE: Final = 500
_SEPARATOR: Final = "\x06\x16"
_PRIORITIES: Final = ("", *(f"{_SEPARATOR}{priority}" for priority in (3, 6, 9)))
"""What kombu adds to a queue's name for messages with a priority."""
_REPLIES: Final = ".reply.celery.pidbox"
"""Suffix of the queues for answers to Celery's remote control; only the program that asked reads one."""
_SCANNED_AT_ONCE: Final = 5000
_US: Final = 10**6
_MS: Final = 1000


@dataclass(frozen=True, kw_only=True)
class PhaseChange:
    """One entry of the stream of changes of phase."""

    id: str
    """Its place in the stream; later entries are read from here on."""
    at: float
    """Seconds since the epoch, by Redis' clock."""
    pod_id: str
    phase: str
    previous: str
    """Empty for a pod's first phase."""
    host: str
    reason: str


class Overview:
    """Reads what is not about a single pod. All methods raise StoreUnavailableError."""

    def __init__(self, *, redis: Redis, longest_wait_s: float) -> None:
        """`longest_wait_s`: how long one call may block before its connection counts as dead."""
        self._redis = redis
        self._longest_wait_s = longest_wait_s

    async def now(self) -> float:
        """Return Redis' clock, in seconds since the epoch."""
        with translated("clock"):
            seconds, microseconds = await self._redis.time()
        return float(seconds) + float(microseconds) / _US

    async def heartbeat_ages(self) -> dict[str, float]:
        """Return host to seconds since its last heartbeat, oldest first; includes those too old to count."""
        with translated("heartbeats"):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrange(keys.HEARTBEATS, 0, -1, withscores=True)
                # Last, so that none of them is younger.
                pipe.time()
                beats, (seconds, microseconds) = await pipe.execute()
        now = float(seconds) + float(microseconds) / 10**6
        return {host: now - beat for host, beat in beats}

    async def queue_lengths(self, queues: Sequence[str]) -> dict[str, int]:
        """Return how many messages wait in each of the broker's queues, without those under way."""
        with translated("queues"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for queue in queues:
                    for priority in _PRIORITIES:
                        pipe.llen(queue + priority)
                lengths = iter(await pipe.execute())
        return {queue: sum(next(lengths) for _ in _PRIORITIES) for queue in queues}

    async def unread(self, heartbeat_ttl_s: float) -> int:
        """Return how many messages wait in queues that nobody uses on purpose, or for hosts without a worker.

        It looks at a few names only, so it can be called often; `unread_queues` looks for all others.
        """
        live = await self._live(heartbeat_ttl_s)
        silent = [queue for host in await self.storages() if host not in live for queue in host_queues(host)]
        return sum((await self.queue_lengths([UNREAD_QUEUE, *silent])).values())

    async def unread_queues(self, heartbeat_ttl_s: float) -> dict[str, int]:
        """Return how many messages wait in each queue that no worker reads. It scans all names in Redis."""
        live = await self._live(heartbeat_ttl_s)
        read = {*shared_queues(), *(queue for host in live for queue in host_queues(host))}
        with translated("queues"):
            found: set[str] = {
                name.partition(_SEPARATOR)[0]
                async for name in self._redis.scan_iter(count=_SCANNED_AT_ONCE, _type="list")
                if not name.startswith(keys.PREFIX) and not name.endswith(_REPLIES)
            }
        lengths = await self.queue_lengths(sorted(found - read))
        return {queue: length for queue, length in lengths.items() if length}

    async def _live(self, heartbeat_ttl_s: float) -> set[str]:
        ages = await self.heartbeat_ages()
        return {host for host, age in ages.items() if abs(age) <= heartbeat_ttl_s}

    async def storages(self) -> dict[str, str]:
        """Return host to the identity of the storage that holds its pods."""
        with translated("load"):
            found: Any = await self._redis.hgetall(keys.STORAGES)
        return dict(found)

    async def store_id(self) -> str | None:
        """Return the id of this store, None if no worker has asked for it yet."""
        with translated("load"):
            found: Any = await self._redis.get(keys.STORE_ID)
        return None if found is None else str(found)

    async def contender(self, host: str) -> str | None:
        """Return the note about another store that asked for a host's installation in the last day."""
        with translated("load"):
            found: Any = await self._redis.get(keys.CONTENDER + host)
        return None if found is None else str(found)

    async def durability_lacks(self) -> list[str]:
        """Return why an accepted intent may not survive a power cut, in sentences for a person."""
        found: dict[str | None, str | None] = {}
        with translated("durability"):
            for name in _DURABLE:
                found |= await self._redis.config_get(name)
        return [
            f"Redis has {name} {found.get(name)!r}, needed: {needed!r}; an accepted intent could be lost"
            for name, needed in _DURABLE.items()
            if found.get(name) != needed
        ]

    async def last_change(self) -> str:
        """Return the place of the newest change of phase, from which to read on."""
        with translated("events"):
            newest: Any = await self._redis.xrevrange(keys.EVENTS, count=1)
        return str(newest[0][0]) if newest else "0"

    async def changes_after(self, place: str, wait_s: float) -> Sequence[PhaseChange]:
        """Return the changes of phase after `place`, oldest first; wait up to `wait_s` for one."""
        block = max(1, round(min(wait_s, self._longest_wait_s) * _MS))
        with translated("events"):
            answer: Any = await self._redis.xread({keys.EVENTS: place}, count=_EVENTS_AT_ONCE, block=block)
        return [_change(*entry) for _, rows in answer or () for entry in rows]


def _change(place: str, fields: dict[str, str]) -> PhaseChange:
    return PhaseChange(
        id=place,
        at=int(place.partition("-")[0]) / _MS,
        pod_id=fields["pod_id"],
        phase=fields["phase"],
        previous=fields["previous"],
        host=fields["host"],
        reason=fields["reason"],
    )
