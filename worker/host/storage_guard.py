"""Judges whether the storage under the Engine is the one that holds this host's pods."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final
from uuid import uuid4

import structlog

from worker.errors import PermanentError, StorageMissingError
from worker.host.claiming import Claiming
from worker.host.rename import rename_host
from worker.interfaces import Engine, Store
from worker.planner.host.claim import Claim
from worker.planner.host.renaming import former_names, renamed_problem
from worker.planner.host.witness import is_same_storage
from worker.planner.volumes.storage import host_storage_problem
from worker.pods.layout import full_names
from worker.pods.model import Installation, Record
from worker.pods.observation import Observation, Snapshot

_log: Final = structlog.get_logger(__name__)


class StorageGuard:
    """Gives a host's storage an identity, and recognises it (protocol 7).

    The identity is on a sentinel volume, which a created container keeps from being pruned, and in the
    store. If the two differ, another disk is mounted, or none, and the planner leaves every pod alone.
    If only the sentinel is gone, it is made again, provided that the pods' own volumes prove the storage.
    """

    def __init__(
        self, *, host: str, engine: Engine, store: Store, installation: Installation, claiming: Claiming
    ) -> None:
        self._claiming = claiming
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._problem: str | None = None
        self.former_names: tuple[str, ...] = ()
        """Hosts that the store knows with the same storage: this one, before it was renamed."""

    @property
    def is_accepted(self) -> bool:
        """Whether, when last looked at, the storage was the host's and the installation this store's."""
        return self._problem is None and self._claiming.problem is None

    @property
    def is_taken(self) -> bool:
        """Whether a worker with another Redis looks after the pods of this installation."""
        return self._claiming.problem is not None

    async def establish(self) -> None:
        """Look once, before any work is taken. Raises what Engine and store raise."""
        records = await self._store.load_host(self._host)
        seen = await self._engine.observe_all()
        await self.check(records.values(), seen)
        others = former_names(await self._store.storages(), self._host, self._found(seen))
        if others and not self.former_names:
            # An older worker accepted the storage under this name too: the former name still has its pods.
            _log.warning("host_renamed", host=self._host, reason=renamed_problem(self._host, others))

    async def check(self, records: Collection[Record], seen: Snapshot) -> Snapshot:
        """Give the storage an identity, adopt the one that it has, or report that the storage is missing.

        Returns `seen` with the identity in it. `is_accepted` then says whether the storage is the host's own.
        Another store that asks for the installation gets its answer here.
        """
        noted = await self._store.noted()
        claimed = await self._claiming.look(seen, noted.store, knows_host=True)
        if claimed is not Claim.REFUSED:
            seen = await self._check(records, seen, noted.storages)
        if self._problem is None and claimed is Claim.TAKE:
            await self._claiming.take(seen)
        if claimed is Claim.OWN or (self._problem is None and claimed is Claim.TAKE):
            await self._claiming.answer(seen)
        return seen

    async def _check(self, records: Collection[Record], seen: Snapshot, noted: Mapping[str, str]) -> Snapshot:
        known, found = noted.get(self._host), self._found(seen)
        is_empty = not any(record.exists for record in records)
        others = former_names(noted, self._host, found)
        self.former_names = others if known is None or (is_empty and known != found) else ()
        if self.former_names:
            self._report(renamed_problem(self._host, self.former_names))
            return seen
        if found is None and (known is None or is_same_storage(_each(records, seen))):
            found = await self._keep(known)
            seen = replace(seen, storages={**seen.storages, self._installation.name: found})
            known = known or found
        elif found is not None and (known is None or is_empty):
            known = await self._adopt(known, found)
        self._report(host_storage_problem(self._host, known, found, self._installation.name))
        return seen

    def refuse_taken(self) -> None:
        """Raise InstallationTakenError if a worker with another Redis looks after this installation."""
        self._claiming.check()

    def refuse_renamed(self) -> None:
        """Raise StorageMissingError if a new pod here would be beside those of the host's former name."""
        if self.former_names:
            raise StorageMissingError(renamed_problem(self._host, self.former_names))

    async def accept(self) -> str:
        """Accept the storage that is there now as this host's, as a person decided; return its identity.

        Raises PermanentError if it is the storage of a host that was renamed.
        """
        noted, seen = await self._store.noted(), await self._engine.observe_all()
        known, found = noted.storages.get(self._host), self._found(seen)
        former = former_names(noted.storages, self._host, found) if known != found else ()
        if former:
            raise PermanentError(renamed_problem(self._host, former))
        await self._claiming.accept(seen, noted.store)
        if found is None:
            return await self._keep(None)
        return await self._adopt(known, found)

    async def take_over(self, old: str) -> int:
        """Give the pods of this host's former name to its current one; see `rename_host`."""
        return await rename_host(self._engine, self._store, self._installation, old, self._host)

    def _found(self, seen: Snapshot) -> str | None:
        return seen.storages.get(self._installation.name)

    async def _keep(self, known: str | None) -> str:
        """Make the sentinel, then note it in the store. If that fails, the sentinel is adopted next time."""
        kept = await self._engine.keep_storage(
            self._installation.name, known or uuid4().hex, self._claiming.labels()
        )
        if known is not None:
            _log.warning("sentinel_made_again", host=self._host, storage=kept)
            return kept
        return await self._adopt(None, kept)

    async def _adopt(self, known: str | None, found: str) -> str:
        if known != found:
            await self._store.set_storage(self._host, found)
            _log.info("storage_accepted", host=self._host, storage=found, before=known)
        return found

    def _report(self, problem: str | None) -> None:
        """Log once when the storage goes missing, and once when it is back."""
        if problem is not None and self._problem is None:
            _log.error("storage_missing", host=self._host, reason=problem)
        if problem is None and self._problem is not None:
            _log.info("storage_back", host=self._host)
        self._problem = problem


def _each(records: Iterable[Record], seen: Snapshot) -> list[tuple[Record, Observation]]:
    return [(record, seen.pod(record.pod_id, full_names(record.pod_id, record.state))) for record in records]
