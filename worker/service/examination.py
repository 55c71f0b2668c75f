"""Examines what is asked of a pod before anything is written: it may be refused, or be for another host."""

from dataclasses import dataclass, field

from worker.errors import HostsSilentError, RemovalUnfinishedError
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.interfaces import Store
from worker.pods.model import Intent, Phase, Record
from worker.pods.requests import (
    Change,
    Create,
    Request,
    Resolved,
    Update,
    brings_spec,
    check,
    created,
    intent_for,
    replaces,
    settled,
)
from worker.reconcile.reconciler import Seen
from worker.service.moments import moment
from worker.service.preflight import Preflight


@dataclass(frozen=True, kw_only=True)
class Forward:
    """The pod lives on another host, and that host's worker has to answer."""

    host: str
    accepted: bool
    """Whether its intent is recorded already."""


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A request that can be accepted."""

    record: Record | None
    request: Request
    host: str
    """Where the pod is, or will be."""
    resolved: Resolved = field(default_factory=Resolved)
    looked: Seen | None = None
    """What was seen of the pod on the way, if that was needed."""

    def intent(self, now: float) -> Intent:
        """Return the intent that it makes at `now`, in seconds since the epoch."""
        intent = intent_for(self.record, self.request, self.resolved)
        return created(intent, self.record, moment(now)).evolve(accepted_at=now)


class Examination:
    """Examines requests on one host. It writes nothing about the pod."""

    def __init__(
        self,
        *,
        host: str,
        hosts: frozenset[str],
        store: Store,
        rebuild: Rebuild,
        guard: StorageGuard,
        preflight: Preflight,
    ) -> None:
        """All of `hosts` must have reported their pods before an unknown id counts as new."""
        self._host = host
        self._hosts = hosts
        self._store = store
        self._rebuild = rebuild
        self._guard = guard
        self._preflight = preflight

    async def examine(self, pod_id: str, asked: Request | Change) -> Examined | Forward:
        """Find out whether a request can be accepted, and what belongs to it. Raises a PodError if not."""
        self._guard.refuse_taken()
        record = await self._known(pod_id)
        request = settled(pod_id, record, asked)
        check(pod_id, record, request)
        if record is not None and record.exists and record.host != self._host:
            # A new spec can be examined only on the host where it will run.
            looks = isinstance(request, Create | Update) or replaces(record, request)
            if looks and record.host in await self._store.live_hosts():
                return Forward(host=record.host, accepted=False)
            self._preflight.judge(record, request, alone=True)
            return Examined(record=record, request=request, host=record.host)
        if (
            record is not None
            and record.purging
            and record.host != self._host
            and isinstance(request, Create)
        ):
            return Forward(host=await self._remover(record), accepted=False)
        self._preflight.judge(record, request)
        looked = await self._first_look(pod_id, record, request)
        resolved = await self._resolved(pod_id, record, request)
        if record is not None and replaces(record, request):
            looked = await self._rehearsed(record, request, resolved)
        elif looked is not None and isinstance(request, Create) and request.adopt:
            candidate = looked.record.evolve(intent=intent_for(record, request, resolved))
            looked = Seen(record=candidate, observation=await self._preflight.rehearse(candidate))
        return Examined(
            record=record,
            request=request,
            host=self._place(record, request),
            resolved=resolved,
            looked=looked,
        )

    def _place(self, record: Record | None, request: Request) -> str:
        """Return the pod's host: this one for a new pod of whose name nothing is left elsewhere."""
        if record is None or (isinstance(request, Create) and not record.exists and not record.purging):
            return self._host
        return record.host

    async def _remover(self, record: Record) -> str:
        """Return the host that still has to remove the deleted pod, and makes the new one after that.

        Raises RemovalUnfinishedError if that host has no worker.
        """
        if record.host in await self._store.live_hosts():
            return record.host
        raise RemovalUnfinishedError(
            f"pod_id: pod {record.pod_id!r} was deleted, and what is left of it is on host {record.host}, "
            "which has no heartbeat; allowed: another id, or this one once that host's worker is back"
        )

    async def _known(self, pod_id: str) -> Record | None:
        """Return a pod's record; None only if every host has reported its pods to the store."""
        record = await self._store.load(pod_id)
        if record is not None:
            return record
        await self._rebuild.run()
        silent = self._hosts - await self._store.reported_hosts()
        if silent:
            raise HostsSilentError(
                f"pod_id: pod {pod_id!r} is not known, and these hosts have not reported their pods since "
                f"Redis was emptied: {', '.join(sorted(silent))}. Start their workers, or remove them from "
                "PINACLE_HOSTS"
            )
        return await self._store.load(pod_id)

    async def _resolved(self, pod_id: str, record: Record | None, request: Request) -> Resolved:
        spec = brings_spec(record, request)
        if spec is not None:
            return await self._preflight.resolved(pod_id, record, spec)
        if isinstance(request, Update) and record is not None and record.state.phase is Phase.FAILED:
            # Its image may be gone, and another one under the same reference: this is how that is taken.
            return await self._preflight.pinned(record, request.spec)
        return Resolved()

    async def _first_look(self, pod_id: str, record: Record | None, request: Request) -> Seen | None:
        """Look at the place of a new pod, so that what is in its way is reported before it is accepted."""
        if not isinstance(request, Create) or (record is not None and record.exists):
            return None
        self._guard.refuse_renamed()
        host = self._place(record, request)
        candidate = Record(pod_id=pod_id, host=host, intent=intent_for(record, request, Resolved()))
        if record is not None:
            candidate = candidate.evolve(state=record.state)
        candidate = candidate.evolve(storage=await self._store.storage(host))
        seen = await self._preflight.first_look(candidate)
        return Seen(record=candidate, observation=seen)

    async def _rehearsed(self, record: Record, request: Request, resolved: Resolved) -> Seen:
        """Examine the container that is to be replaced, so that a loss is refused before anything changes."""
        candidate = record.evolve(intent=intent_for(record, request, resolved))
        return Seen(record=candidate, observation=await self._preflight.rehearse(candidate))
