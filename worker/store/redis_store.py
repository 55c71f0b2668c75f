"""The records in Redis: `worker.interfaces.Store`."""

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from worker.errors import (
    GenerationConflictError,
    LeaseLostError,
    PortTakenError,
    RecordUnreadableError,
    StoreUnavailableError,
)
from worker.interfaces import Accepted, DiskUse, Lease, Noted, Progress, Proposal
from worker.pods.model import INTENT, STATE, IntentKind, PodState, PublishedPort, Record
from worker.store import keys, scripts
from worker.store.announcements import Announcements
from worker.store.leases import Leases, RedisLease
from worker.store.overview import Overview
from worker.store.reading import FIELDS, no_record, read_record
from worker.store.translate import translated

_Told = TypeVar("_Told", Progress, DiskUse)
_TASK_MEMORY_S: Final = 7 * 24 * 3600
_TOMBSTONE_MEMORY_S: Final = 6 * 24 * 3600
"""Shorter than the memory of tasks, so that a message as old as its pod's tombstone is still known."""
_CONTENDER_MEMORY_S: Final = 24 * 3600
_ATTEMPTS_MEMORY_S: Final = 6 * 3600
"""A message that kills workers comes again within minutes; the count of a refused one is not kept long."""
_STREAM_LENGTH: Final = 10_000
_PROGRESS_LENGTH: Final = 1000
PROGRESS_MEMORY_S: Final = 15
"""How long a pull counts as under way without being told of again: its worker may have been killed."""


class RedisStore:
    """Records, accepted tasks, leases, reservations, heartbeats. See `worker.interfaces.Store`."""

    def __init__(
        self,
        url: str,
        *,
        lease_ttl_s: float,
        takeover_delay_s: float,
        heartbeat_ttl_s: float,
        socket_timeout_s: float,
        task_memory_s: float = _TASK_MEMORY_S,
        tombstone_memory_s: float = _TOMBSTONE_MEMORY_S,
    ) -> None:
        self._redis = Redis.from_url(
            url,
            decode_responses=True,
            # Text that is not UTF-8 then spoils one record, not the whole answer.
            encoding_errors="surrogateescape",
            socket_timeout=socket_timeout_s,
            socket_connect_timeout=socket_timeout_s,
            health_check_interval=10,
            # One more try, for a connection that was closed while it was idle in the pool. Everything that is
            # sent is idempotent: by task id, by token, or by the owner of a lease.
            retry=Retry(NoBackoff(), 1),
        )
        self._heartbeat_ttl_s = heartbeat_ttl_s
        self._task_memory_s = round(task_memory_s)
        self._tombstone_memory_s = round(tombstone_memory_s)
        self._leases = Leases(redis=self._redis, ttl_s=lease_ttl_s, takeover_delay_s=takeover_delay_s)
        self._watch = Announcements(redis=self._redis)
        self.overview = Overview(redis=self._redis, longest_wait_s=socket_timeout_s / 2)
        self._accept = self._redis.register_script(scripts.ACCEPT)
        self._move_ports = self._redis.register_script(scripts.MOVE_PORTS)
        self._save = self._redis.register_script(scripts.SAVE)
        self._count_attempt = self._redis.register_script(scripts.COUNT_ATTEMPT)
        self._beat = self._redis.register_script(scripts.BEAT)
        self._beaten: dict[str, float] = {}
        self._live = self._redis.register_script(scripts.LIVE_HOSTS)
        self._noted = self._redis.register_script(scripts.NOTED)
        self._rename_host = self._redis.register_script(scripts.RENAME_HOST)

    async def load(self, pod_id: str) -> Record | None:
        with translated("load"):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hmget(keys.pod(pod_id), FIELDS)
                pipe.hgetall(keys.STORAGES)
                fields, storages = await pipe.execute(raise_on_error=False)
        return _record(pod_id, fields, storages)

    async def load_host(self, host: str) -> dict[str, Record]:
        return await self._load_members(keys.host_pods(host))

    async def count_host(self, host: str) -> int:
        with translated("load"):
            count: Any = await self._redis.scard(keys.host_pods(host))
        return int(count)

    async def load_all(self) -> dict[str, Record]:
        return await self._load_members(keys.ALL_PODS)

    async def pod_ids(self) -> Sequence[str]:
        with translated("load"):
            members: Any = await self._redis.smembers(keys.ALL_PODS)
        return sorted(members)

    async def load_some(self, pod_ids: Sequence[str]) -> dict[str, Record]:
        return await self._load_these(keys.ALL_PODS, pod_ids)

    async def accepted_generation(self, task_id: str) -> int | None:
        with translated("accept"):
            generation = await self._redis.get(keys.task(task_id))
        return None if generation is None else int(generation)

    async def accept(self, proposal: Proposal) -> Accepted:
        intent = proposal.intent
        # A deleted pod keeps its ports until nothing is left that could still be bound to them.
        with translated("accept"):
            answer, value, *owner = await self._accept(
                keys=[
                    keys.pod(proposal.pod_id),
                    keys.task(proposal.task_id),
                    keys.ALL_PODS,
                    keys.host_pods(proposal.host),
                    keys.ports(proposal.host),
                    keys.attempts(proposal.task_id),
                ],
                args=[
                    proposal.pod_id,
                    proposal.expected_generation,
                    proposal.host,
                    INTENT.dump_json(intent).decode(),
                    intent.generation,
                    self._task_memory_s,
                    *map(_port_field, intent.ports),
                ],
            )
        if answer == "generation":
            raise GenerationConflictError(
                f"pod {proposal.pod_id}: generation is {value}, not {proposal.expected_generation}"
            )
        if answer == "port":
            raise _reserved(value, owner[0])
        return Accepted(generation=int(value), seen_before=answer == "seen")

    async def move_ports(self, record: Record, ports: Sequence[PublishedPort], lease: Lease) -> None:
        intent = record.intent.evolve(ports=tuple(ports))
        with translated("save"):
            answer, *more = await self._move_ports(
                keys=[keys.pod(record.pod_id), keys.lease(record.pod_id), keys.ports(record.host)],
                args=[
                    record.pod_id,
                    lease.token,
                    intent.generation,
                    INTENT.dump_json(intent).decode(),
                    *map(_port_field, ports),
                ],
            )
        match answer:
            case "lease":
                raise LeaseLostError(f"pod {record.pod_id}: lease {lease.token} is not the newest")
            case "generation":
                raise GenerationConflictError(
                    f"pod {record.pod_id}: generation is {more[0]}, not {intent.generation}"
                )
            case "port":
                raise _reserved(*more)
            case _:
                return

    async def storage(self, host: str) -> str | None:
        with translated("load"):
            identity: Any = await self._redis.hget(keys.STORAGES, host)
        return None if identity is None else str(identity)

    async def storages(self) -> Mapping[str, str]:
        return await self.overview.storages()

    async def set_storage(self, host: str, identity: str) -> None:
        with translated("save"):
            await self._redis.hset(keys.STORAGES, host, identity)

    async def pool(self, host: str) -> str | None:
        with translated("load"):
            uuid: Any = await self._redis.hget(keys.POOLS, host)
        return None if uuid is None else str(uuid)

    async def set_pool(self, host: str, uuid: str) -> None:
        with translated("save"):
            await self._redis.hset(keys.POOLS, host, uuid)

    async def noted(self) -> Noted:
        with translated("load"):
            store, flat = await self._noted(keys=[keys.STORE_ID, keys.STORAGES], args=[uuid4().hex])
        return Noted(store=store, storages=dict(zip(flat[::2], flat[1::2], strict=True)))

    async def note_contender(self, host: str, text: str) -> None:
        with translated("save"):
            await self._redis.set(keys.CONTENDER + host, text, ex=_CONTENDER_MEMORY_S)

    async def rename_host(self, old: str, new: str, identity: str) -> int | None:
        with translated("rename"):
            moved = await self._rename_host(
                keys=[
                    keys.STORAGES,
                    keys.HEARTBEATS,
                    keys.REPORTED,
                    keys.host_pods(old),
                    keys.host_pods(new),
                    keys.ports(old),
                    keys.ports(new),
                ],
                args=[old, new, identity, self._heartbeat_ttl_s, keys.pod("")],
            )
        return None if moved is None else int(moved)

    async def reported_hosts(self) -> frozenset[str]:
        with translated("load"):
            hosts: Any = await self._redis.smembers(keys.REPORTED)
        return frozenset(hosts)

    async def report_host(self, host: str) -> None:
        with translated("save"):
            await self._redis.sadd(keys.REPORTED, host)

    async def reserved_ports(self, host: str) -> Sequence[tuple[PublishedPort, str]]:
        with translated("load"):
            reserved: Any = await self._redis.hgetall(keys.ports(host))
        return [(_port_of(field), pod_id) for field, pod_id in reserved.items()]

    async def port_owners(
        self, host: str, ports: Sequence[PublishedPort]
    ) -> Sequence[tuple[PublishedPort, str]]:
        fields = list(dict.fromkeys(map(_port_field, ports)))
        if not fields:
            return []
        with translated("load"):
            owners: Any = await self._redis.hmget(keys.ports(host), fields)
        found = zip(fields, owners, strict=True)
        return [(_port_of(field), owner) for field, owner in found if owner is not None]

    async def save(self, record: Record, lease: Lease) -> None:
        if record.unreadable is not None:
            raise RecordUnreadableError(record.unreadable.reason)
        intent, state = record.intent, record.state
        gone = intent.kind is IntentKind.DELETED and state.purged_generation >= intent.purge_generation > 0
        with translated("save"):
            answer = await self._save(
                keys=[
                    keys.pod(record.pod_id),
                    keys.lease(record.pod_id),
                    keys.ports(record.host),
                    keys.EVENTS,
                ],
                args=[
                    record.pod_id,
                    lease.token,
                    STATE.dump_json(state).decode(),
                    state.phase.value,
                    state.reason or "",
                    int(gone),
                    intent.generation,
                    self._tombstone_memory_s,
                    _STREAM_LENGTH,
                    keys.changed(record.pod_id),
                ],
            )
        if answer != "saved":
            raise LeaseLostError(
                f"pod {record.pod_id}: lease {lease.token} is not the newest; nothing was saved"
            )

    async def lease(self, pod_id: str) -> Lease:
        return await self._leases.take(pod_id)

    async def release(self, pod_id: str, lease: Lease) -> None:
        await self._leases.release(pod_id, _own(lease))

    def abandon(self, lease: Lease) -> None:
        self._leases.abandon(_own(lease))

    async def count_attempt(self, task_id: str) -> int:
        with translated("attempt"):
            return int(await self._count_attempt(keys=[keys.attempts(task_id)], args=[_ATTEMPTS_MEMORY_S]))

    async def begin_once(self, task_id: str) -> bool:
        with translated("begin"):
            return bool(await self._redis.set(keys.begun(task_id), 1, nx=True, ex=_TASK_MEMORY_S))

    async def tell_progress(self, record: Record, progress: Progress, *, is_news: bool) -> None:
        told = asdict(progress)
        with translated("progress"):
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(keys.pull(record.pod_id), json.dumps(told), ex=PROGRESS_MEMORY_S)
                if is_news:
                    entry: dict[Any, Any] = {
                        "pod_id": record.pod_id,
                        "host": record.host,
                        "generation": record.intent.generation,
                        **told,
                    }
                    pipe.xadd(keys.PROGRESS, entry, maxlen=_PROGRESS_LENGTH, approximate=True)
                await pipe.execute()

    async def note_uses(self, host: str, uses: Mapping[str, DiskUse], keep_s: float) -> None:
        with translated("use"):
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(keys.use(host))
                if uses:
                    pipe.hset(
                        keys.use(host),
                        mapping={pod_id: json.dumps(asdict(use)) for pod_id, use in uses.items()},
                    )
                    pipe.pexpire(keys.use(host), int(keep_s * 1000))
                await pipe.execute()

    async def uses(self, hosts: Collection[str]) -> Mapping[str, DiskUse]:
        with translated("use"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for host in hosts:
                    pipe.hgetall(keys.use(host))
                found = await pipe.execute()
        told = {pod_id: _read(DiskUse, text) for each in found for pod_id, text in each.items()}
        return {pod_id: use for pod_id, use in told.items() if use is not None}

    async def use(self, host: str, pod_id: str) -> DiskUse | None:
        with translated("use"):
            text: Any = await self._redis.hget(keys.use(host), pod_id)
        return None if text is None else _read(DiskUse, text)

    async def forget_progress(self, pod_id: str) -> None:
        with translated("progress"):
            await self._redis.delete(keys.pull(pod_id))

    async def progress(self, pod_id: str) -> Progress | None:
        with translated("progress"):
            told: Any = await self._redis.get(keys.pull(pod_id))
        return None if told is None else _read(Progress, told)

    async def beat_heart(self, host: str) -> bool:
        with translated("heartbeat"):
            before, now = await self._beat(keys=[keys.HEARTBEATS], args=[host])
        mine, self._beaten[host] = self._beaten.get(host), float(now)
        return mine is None or before is None or float(before) <= mine

    async def stop_heart(self, host: str) -> None:
        with translated("heartbeat"):
            await self._redis.zrem(keys.HEARTBEATS, host)

    async def live_hosts(self) -> frozenset[str]:
        with translated("heartbeat"):
            return frozenset(await self._live(keys=[keys.HEARTBEATS], args=[self._heartbeat_ttl_s]))

    async def wait_for_change(self, pod_id: str, known: PodState, timeout_s: float) -> None:
        async def is_over() -> bool:
            with translated("watch"):
                async with self._redis.pipeline(transaction=False) as pipe:
                    pipe.exists(keys.lease(pod_id))
                    pipe.hmget(keys.pod(pod_id), FIELDS)
                    held, fields = await pipe.execute()
            record = read_record(pod_id, fields, {})
            return not held or record is None or record.state != known

        await self._watch.wait(pod_id, is_over, timeout_s)

    async def durability_problems(self) -> list[str]:
        """Return why an accepted intent may not survive a power cut, in sentences for a person."""
        try:
            return await self.overview.durability_lacks()
        except StoreUnavailableError as error:
            return [f"it could not be checked whether Redis keeps what is written: {error}"]

    async def close(self) -> None:
        await self._watch.close()
        await self._redis.aclose()

    async def _load_members(self, key: str) -> dict[str, Record]:
        with translated("load"):
            members: Any = await self._redis.smembers(key)
        return await self._load_these(key, sorted(members))

    async def _load_these(self, key: str, ids: Sequence[str]) -> dict[str, Record]:
        """Return the records of these members of a set, and remove those from it whose record has expired."""
        with translated("load"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for pod_id in ids:
                    pipe.hmget(keys.pod(pod_id), FIELDS)
                pipe.hgetall(keys.STORAGES)
                *rows, storages = await pipe.execute(raise_on_error=False)
        # Not in the event loop, so that others are answered meanwhile.
        records = await asyncio.to_thread(_records, ids, rows, storages)
        await self._forget(key, (pod_id for pod_id, record in records.items() if record is None))
        return {pod_id: record for pod_id, record in records.items() if record is not None}

    async def _forget(self, key: str, expired: Iterable[str]) -> None:
        """Remove the ids of expired tombstones from a set."""
        ids = list(expired)
        if ids:
            with translated("load"):
                await self._redis.srem(key, *ids)


def _records(ids: Sequence[str], rows: Sequence[Any], storages: Any) -> dict[str, Record | None]:
    return {pod_id: _record(pod_id, fields, storages) for pod_id, fields in zip(ids, rows, strict=True)}


def _record(pod_id: str, fields: Any, storages: Any) -> Record | None:
    """Return the record in Redis' answer, which may contain errors. Raises StoreUnavailableError."""
    with translated("load"):
        for answer in (storages, fields):
            if isinstance(answer, Exception) and (answer is storages or "WRONGTYPE" not in str(answer)):
                raise answer
    return no_record(pod_id) if isinstance(fields, Exception) else read_record(pod_id, fields, storages)


def _read(kind: type[_Told], told: str) -> _Told | None:
    """Return what was told, without what only another version knows; None if it cannot be read."""
    try:
        found = json.loads(told)
        return kind(**{each.name: found[each.name] for each in fields(kind)})
    except (ValueError, TypeError, LookupError):
        return None


def _port_field(port: PublishedPort) -> str:
    return f"{port.protocol}/{port.host}/{port.address}"


def _port_of(field: str) -> PublishedPort:
    protocol, host, address = field.split("/", 2)
    return PublishedPort(
        container=0, host=int(host), protocol="udp" if protocol == "udp" else "tcp", address=address
    )


def _reserved(field: str, owner: str) -> PortTakenError:
    return PortTakenError(
        f"spec.ports: {_port_text(field)} is reserved by pod {owner!r}; allowed: another port, or "
        "none to have a free one chosen"
    )


def _port_text(field: str) -> str:
    protocol, host, address = field.split("/", 2)
    return f"host port {host}/{protocol} on {address}"


def _own(lease: Lease) -> RedisLease:
    if not isinstance(lease, RedisLease):
        raise TypeError(f"{lease!r} is a lease of another store")
    return lease
