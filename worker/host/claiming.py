"""Holds an installation on one Engine for this process's store, against other stores that use its name."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from worker.errors import ConflictError, InstallationAskedError, InstallationTakenError
from worker.interfaces import ContenderEvent, Engine, Store
from worker.planner.host import claim
from worker.planner.host.claim import Claim, Claimant
from worker.pods import naming
from worker.pods.model import Installation
from worker.pods.observation import Snapshot

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Asked:
    """This store's question whether it may have the installation; its owner may answer."""

    contender_id: str
    keeper_id: str | None
    until: float
    """By the monotonic clock."""


class Claiming:
    """Says which store owns the installation, asks if another store's id is there, and answers questions."""

    def __init__(
        self,
        *,
        host: str,
        engine: Engine,
        store: Store,
        installation: Installation,
        interval_s: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`interval_s` is the time between this process's passes; `clock` gives seconds."""
        self._host = host
        self._engine = engine
        self._store = store
        self._name = installation.name
        self._interval_s = interval_s
        self._clock = clock
        self._claimant = Claimant(store="")
        self._asked: _Asked | None = None
        self._refused = False
        """Whether a living owner said no: a process asks once in its life."""
        self.problem: str | None = None
        """Why nothing may be made, changed or removed; None while the installation is this store's."""

    async def look(self, seen: Snapshot, store: str, *, knows_host: bool) -> Claim:
        """Return which store owns the installation now; `store` is the id of this process's own store."""
        before = self._claimant
        former = before.former if before.store == store else before.former | {before.store}
        self._claimant = Claimant(store=store, former=former, held=before.held, knows_host=knows_host)
        decided = claim.judge(self._claimant, seen, self._name)
        if decided is Claim.OWN:
            self._hold()
        elif decided is Claim.REFUSED:
            await self._tell(seen)
        return decided

    async def obtain(self, seen: Snapshot) -> None:
        """Hold the installation before a host's pods are reported to a store that does not know them.

        Raises InstallationAskedError while an owner may still object, InstallationTakenError after one did.
        """
        match await self.look(seen, (await self._store.noted()).store, knows_host=False):
            case Claim.TAKE:
                await self.take(seen)
            case Claim.ASK:
                await self._ask(seen)
            case Claim.REFUSED:
                self.check()
            case Claim.OWN:
                pass

    async def take(self, seen: Snapshot) -> None:
        """Put this store's id on the sentinel's keeper, if there is a sentinel; no pod is touched."""
        storage = seen.storages.get(self._name)
        keeper = claim.keeper_of(seen, self._name)
        if storage is not None:
            store = self._claimant.store
            if keeper is not None and keeper.labels.get(naming.LABEL_STORE) != store:
                _log.warning(
                    "installation_taken", host=self._host, store=store, before=_holder(seen, self._name)
                )
                await self._engine.remove_container(keeper.id)
            await self._engine.keep_storage(self._name, storage, self.labels())
        self._hold()

    async def accept(self, seen: Snapshot, store: str) -> None:
        """Take the installation over, as a person decided."""
        await self.look(seen, store, knows_host=True)
        await self.take(seen)

    async def answer(self, seen: Snapshot) -> None:
        """Refuse the stores that ask for this one's installation, and log that; drop its own question too."""
        for store, container in claim.contenders(seen, self._name):
            await self._turn_away(store, container.id)

    async def hear(self, contender: ContenderEvent) -> None:
        """Answer a store that asks now, if this one is known to own the installation; passes are rare."""
        if not self._claimant.held or self.problem is not None:
            return
        if contender.store == (await self._store.noted()).store:
            return  # Another process of this store, which was lost since the last pass and has a new id.
        await self._turn_away(contender.store, contender.container_id)

    async def _turn_away(self, store: str, container_id: str) -> None:
        if store not in {self._claimant.store, *self._claimant.former}:
            text = claim.contended(self._name, self._host, store)
            _log.error("installation_contended", host=self._host, contender=store, reason=text)
            await self._store.note_contender(self._host, text)
        await self._engine.remove_container(container_id)

    def labels(self) -> dict[str, str]:
        """Return what this store writes on the sentinel's keeper."""
        return claim.keeper_labels(self._name, self._claimant.store)

    def check(self) -> None:
        """Raise InstallationTakenError if the installation is another store's."""
        if self.problem is not None:
            raise InstallationTakenError(self.problem)

    def _hold(self) -> None:
        if self.problem is not None:
            _log.info("installation_held", host=self._host, store=self._claimant.store)
        self._claimant = Claimant(
            store=self._claimant.store,
            former=self._claimant.former,
            held=True,
            knows_host=self._claimant.knows_host,
        )
        self._asked, self.problem = None, None

    async def _ask(self, seen: Snapshot) -> None:
        if self._refused:
            self.check()
        asked, now = self._asked, self._clock()
        keeper = claim.keeper_of(seen, self._name)
        if asked is None:
            self._asked = asked = await self._stand(seen, now)
        elif not any(container.id == asked.contender_id for container in seen.containers.values()):
            if keeper is None and asked.keeper_id is not None:
                self._asked = asked = await self._stand(seen, now)  # A prune removed both.
            else:
                self._refuse(seen)
        elif keeper is not None and keeper.id != asked.keeper_id:
            self._refuse(seen)  # Another store that asked was first, or the owner made its keeper again.
        elif now >= asked.until:
            await self.take(seen)
            return
        left = asked.until - now
        self.problem = claim.confirming(self._name, self._host, _holder(seen, self._name), left)
        raise InstallationAskedError(self.problem, delay_s=min(left, self._interval_s))

    async def _stand(self, seen: Snapshot, now: float) -> _Asked:
        keeper = claim.keeper_of(seen, self._name)
        contender_id = await self._contender(seen)
        wait_s = claim.answers_within_s(self._interval_s)
        _log.warning(
            "installation_asked_for", host=self._host, store=self._claimant.store, seconds=round(wait_s, 1)
        )
        return _Asked(contender_id, None if keeper is None else keeper.id, now + wait_s)

    async def _contender(self, seen: Snapshot) -> str:
        store = self._claimant.store
        standing = dict(claim.contenders(seen, self._name)).get(store)
        if standing is not None:
            return standing.id  # It is from another process of this store, or from one that was killed.
        name, labels = naming.contender_name(self._name, store), claim.contender_labels(self._name, store)
        return await self._engine.create_mark(name, labels)

    def _refuse(self, seen: Snapshot) -> None:
        self._refused = True
        self._say(claim.refusal(self._name, self._host, _holder(seen, self._name)))
        self.check()

    async def _tell(self, seen: Snapshot) -> None:
        """Log that the installation is another store's, and let that store know."""
        if self.problem is None:
            with suppress(ConflictError):  # Another process of this store has just done so.
                await self._contender(seen)
        self._say(claim.refusal(self._name, self._host, _holder(seen, self._name)))

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            _log.error("installation_taken_by_another", host=self._host, reason=problem)
        self.problem = problem


def _holder(seen: Snapshot, installation: str) -> str | None:
    keeper = claim.keeper_of(seen, installation)
    return None if keeper is None else keeper.labels.get(naming.LABEL_STORE)
