"""A store in memory, for the reconciler's tests. The contract suite keeps it honest."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from worker.errors import (
    GenerationConflictError,
    LeaseHeldError,
    LeaseLostError,
    PortTakenError,
    RecordUnreadableError,
)
from worker.interfaces import Accepted, DiskUse, Lease, Noted, Progress, Proposal
from worker.planner.host.port_choice import clash
from worker.pods.model import INTENT, STATE, IntentKind, PodState, PublishedPort, Record
from worker.store.reading import FIELDS, read_record


@dataclass
class FakeLease:
    """Valid until the store's clock says otherwise."""

    token: int
    store: "FakeStore"
    valid_until: float

    def remaining(self) -> float:
        return self.valid_until - self.store.now


class FakeStore:
    """Records as a dict. Time is what `now` says."""

    def __init__(self, *, lease_ttl_s: float = 20.0, takeover_delay_s: float = 10.0) -> None:
        self.records: dict[str, Record] = {}
        self.spoiled: dict[str, dict[str, str]] = {}
        """Pod id to what is written in a field of its record instead of what it should be."""
        self.tasks: dict[str, int] = {}
        self.leases: dict[str, FakeLease] = {}
        self.abandoned: set[int] = set()
        """Tokens of leases that were left to expire."""
        self.attempts: dict[str, int] = {}
        self.begun: set[str] = set()
        self.pulls: dict[str, Progress] = {}
        self.told: list[Progress] = []
        """What followers of pulls were told."""
        self.hosts: dict[str, float] = {}
        self.reported: set[str] = set()
        self.identities: dict[str, str] = {}
        self.pools: dict[str, str] = {}
        self.disk_uses: dict[str, dict[str, DiskUse]] = {}
        self.id = "store-1"
        self.contenders: dict[str, str] = {}
        self.reserved: dict[str, dict[PublishedPort, str]] = {}
        self.now = 0.0
        self.before: Callable[[str], None] = lambda _operation: None
        """Called before something is written; when it raises, nothing was."""
        self.after: Callable[[str], None] = lambda _operation: None
        """Called after it was written; when it raises, the answer is lost."""
        self._ttl_s = lease_ttl_s
        self._takeover_delay_s = takeover_delay_s
        self._tokens = 0

    async def load(self, pod_id: str) -> Record | None:
        self.before("load")
        return self._shown(self.records.get(pod_id))

    async def load_host(self, host: str) -> dict[str, Record]:
        self.before("load")
        return {
            pod_id: shown
            for pod_id, record in self.records.items()
            if record.host == host and (shown := self._shown(record)) is not None
        }

    async def count_host(self, host: str) -> int:
        self.before("load")
        return sum(record.host == host for record in self.records.values())

    async def load_all(self) -> dict[str, Record]:
        self.before("load")
        return {
            pod_id: shown
            for pod_id, record in self.records.items()
            if (shown := self._shown(record)) is not None
        }

    async def pod_ids(self) -> Sequence[str]:
        self.before("load")
        return sorted(self.records)

    async def load_some(self, pod_ids: Sequence[str]) -> dict[str, Record]:
        every = await self.load_all()
        return {pod_id: every[pod_id] for pod_id in pod_ids if pod_id in every}

    async def accepted_generation(self, task_id: str) -> int | None:
        self.before("accepted_generation")
        return self.tasks.get(task_id)

    async def accept(self, proposal: Proposal) -> Accepted:
        self.before("accept")
        seen = self.tasks.get(proposal.task_id)
        if seen is not None:
            return Accepted(generation=seen, seen_before=True)
        record = self.records.get(proposal.pod_id)
        generation = record.intent.generation if record is not None else 0
        if generation != proposal.expected_generation:
            raise GenerationConflictError(f"generation is {generation}, not {proposal.expected_generation}")
        self._reserve(proposal.host, proposal.pod_id, proposal.intent.ports)
        if record is not None and record.host != proposal.host:
            self._give_back(record.host, proposal.pod_id)
        state = record.state if record is not None else PodState()
        self.records[proposal.pod_id] = Record(
            pod_id=proposal.pod_id, host=proposal.host, intent=proposal.intent, state=state
        )
        self.spoiled.get(proposal.pod_id, {}).pop("intent", None)
        self.tasks[proposal.task_id] = proposal.intent.generation
        self.attempts.pop(proposal.task_id, None)
        self.after("accept")
        return Accepted(generation=proposal.intent.generation, seen_before=False)

    async def storage(self, host: str) -> str | None:
        self.before("load")
        return self.identities.get(host)

    async def storages(self) -> Mapping[str, str]:
        self.before("load")
        return dict(self.identities)

    async def set_storage(self, host: str, identity: str) -> None:
        self.before("storage")
        self.identities[host] = identity
        self.after("storage")

    async def pool(self, host: str) -> str | None:
        self.before("load")
        return self.pools.get(host)

    async def set_pool(self, host: str, uuid: str) -> None:
        self.before("storage")
        self.pools[host] = uuid
        self.after("storage")

    async def noted(self) -> Noted:
        self.before("load")
        return Noted(store=self.id, storages=dict(self.identities))

    async def note_contender(self, host: str, text: str) -> None:
        self.before("contender")
        self.contenders[host] = text
        self.after("contender")

    async def rename_host(self, old: str, new: str, identity: str) -> int | None:
        self.before("rename")
        here = self.identities
        if old in await self.live_hosts() or here.get(old) != identity or here.get(new, identity) != identity:
            return None
        moved = [pod_id for pod_id, record in self.records.items() if record.host == old]
        for pod_id in moved:
            self.records[pod_id] = replace(self.records[pod_id], host=new)
        self.reserved[new] = {**self.reserved.pop(old, {}), **self.reserved.get(new, {})}
        here[new] = here.pop(old)
        self.hosts.pop(old, None)
        self.reported = self.reported - {old} | {new}
        self.after("rename")
        return len(moved)

    async def reported_hosts(self) -> frozenset[str]:
        self.before("load")
        return frozenset(self.reported)

    async def report_host(self, host: str) -> None:
        self.before("report")
        self.reported.add(host)
        self.after("report")

    async def move_ports(self, record: Record, ports: Sequence[PublishedPort], lease: Lease) -> None:
        self.before("ports")
        current, holder = self.records.get(record.pod_id), self.leases.get(record.pod_id)
        if current is None or holder is None or holder.token != lease.token:
            raise LeaseLostError(f"pod {record.pod_id}: lease {lease.token} is not the newest")
        if current.intent.generation != record.intent.generation:
            raise GenerationConflictError(f"generation is {current.intent.generation}")
        self._reserve(record.host, record.pod_id, ports)
        self.records[record.pod_id] = replace(current, intent=record.intent.evolve(ports=tuple(ports)))
        self.after("ports")

    async def reserved_ports(self, host: str) -> Sequence[tuple[PublishedPort, str]]:
        return list(self.reserved.get(host, {}).items())

    async def port_owners(
        self, host: str, ports: Sequence[PublishedPort]
    ) -> Sequence[tuple[PublishedPort, str]]:
        wanted = {replace(port, container=0) for port in ports}
        return [each for each in self.reserved.get(host, {}).items() if each[0] in wanted]

    async def save(self, record: Record, lease: Lease) -> None:
        self.before("save")
        current, holder = self.records.get(record.pod_id), self.leases.get(record.pod_id)
        if current is None or holder is None or holder.token != lease.token:
            raise LeaseLostError(f"pod {record.pod_id}: lease {lease.token} is not the newest")
        if record.unreadable is not None:
            raise RecordUnreadableError(record.unreadable.reason)
        self.spoiled.get(record.pod_id, {}).pop("state", None)
        self.records[record.pod_id] = replace(current, state=record.state)
        intent = record.intent
        gone = intent.kind is IntentKind.DELETED and record.state.purged_generation >= intent.purge_generation
        if gone and current.intent.generation == intent.generation:
            self._give_back(record.host, record.pod_id)
        self.after("save")

    async def lease(self, pod_id: str) -> Lease:
        self.before("lease")
        held = self.leases.get(pod_id)
        if held is not None and held.valid_until + self._takeover_delay_s > self.now:
            raise LeaseHeldError(f"pod {pod_id}: somebody else is working on it")
        self._tokens += 1
        lease = FakeLease(token=self._tokens, store=self, valid_until=self.now + self._ttl_s)
        self.leases[pod_id] = lease
        self.after("lease")
        return lease

    def abandon(self, lease: Lease) -> None:
        """Do nothing: nothing renews a lease here, and each ends when its time is up."""
        self.abandoned.add(lease.token)

    async def release(self, pod_id: str, lease: Lease) -> None:
        self.before("release")
        held = self.leases.get(pod_id)
        if held is not None and held.token == lease.token:
            held.valid_until = self.now
            del self.leases[pod_id]

    async def count_attempt(self, task_id: str) -> int:
        self.attempts[task_id] = self.attempts.get(task_id, 0) + 1
        return self.attempts[task_id]

    async def begin_once(self, task_id: str) -> bool:
        was_begun = task_id in self.begun
        self.begun.add(task_id)
        return not was_begun

    async def tell_progress(self, record: Record, progress: Progress, *, is_news: bool) -> None:
        self.before("progress")
        self.pulls[record.pod_id] = progress
        if is_news:
            self.told.append(progress)

    async def note_uses(self, host: str, uses: Mapping[str, DiskUse], keep_s: float) -> None:
        self.before("use")
        self.disk_uses[host] = dict(uses) if keep_s > 0 else {}

    async def uses(self, hosts: Collection[str]) -> Mapping[str, DiskUse]:
        return {pod_id: use for host in hosts for pod_id, use in self.disk_uses.get(host, {}).items()}

    async def use(self, host: str, pod_id: str) -> DiskUse | None:
        return self.disk_uses.get(host, {}).get(pod_id)

    async def forget_progress(self, pod_id: str) -> None:
        self.before("progress")
        self.pulls.pop(pod_id, None)

    async def progress(self, pod_id: str) -> Progress | None:
        return self.pulls.get(pod_id)

    async def beat_heart(self, host: str) -> bool:
        self.hosts[host] = self.now
        return True

    async def stop_heart(self, host: str) -> None:
        self.hosts.pop(host, None)

    async def live_hosts(self) -> frozenset[str]:
        return frozenset(host for host, at in self.hosts.items() if self.now - at <= self._ttl_s)

    async def wait_for_change(self, pod_id: str, known: PodState, timeout_s: float) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        return

    def _shown(self, record: Record | None) -> Record | None:
        if record is None or record.pod_id not in self.spoiled:
            return None if record is None else replace(record, storage=self.identities.get(record.host))
        intent, state = record.intent, record.state
        fields = {
            "host": record.host,
            "generation": str(intent.generation),
            "intent": INTENT.dump_json(intent).decode(),
            "state": STATE.dump_json(state).decode(),
        }
        fields |= self.spoiled[record.pod_id]
        return read_record(record.pod_id, [fields[name] for name in FIELDS], self.identities)

    def _reserve(self, host: str, pod_id: str, ports: Sequence[PublishedPort]) -> None:
        reserved = self.reserved.setdefault(host, {})
        wanted = [replace(port, container=0) for port in ports]
        for port in wanted:
            owner = next(
                (who for taken, who in reserved.items() if who != pod_id and clash(taken, port)),
                None,
            )
            if owner is not None:
                raise PortTakenError(f"host port {port.host}/{port.protocol} is reserved by pod {owner!r}")
        self._give_back(host, pod_id)
        self.reserved[host].update(dict.fromkeys(wanted, pod_id))

    def _give_back(self, host: str, pod_id: str) -> None:
        reserved = self.reserved.get(host, {})
        self.reserved[host] = {port: owner for port, owner in reserved.items() if owner != pod_id}
