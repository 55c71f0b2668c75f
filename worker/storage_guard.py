"""Whether the storage under the Engine is the one that holds this host's pods."""

from collections.abc import Collection
from typing import Final
from uuid import uuid4

import structlog

from worker.pods.model import Installation, Record
from worker.pods.naming import storage_name
from worker.pods.observation import Snapshot
from worker.pods.storage import host_storage_problem
from worker.ports import Engine, Store

_log: Final = structlog.get_logger(__name__)


class StorageGuard:
    """Gives a host's storage an identity, and recognises it.

    The identity stands on a sentinel volume, which a created container keeps from being pruned, and in the
    store. Where the two differ another disk is mounted, or none: the planner leaves every pod alone then.
    """

    def __init__(self, *, host: str, engine: Engine, store: Store, installation: Installation) -> None:
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._problem: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the storage was the host's own when it was last looked at."""
        return self._problem is None

    async def establish(self) -> None:
        """Look once, before any work is taken. Raises what Engine and store raise."""
        records = await self._store.load_host(self._host)
        await self.check(records.values(), await self._engine.observe_all())

    async def check(self, records: Collection[Record], seen: Snapshot) -> bool:
        """Give the storage its identity, adopt the one that it has, or say that it is missing.

        Returns whether the storage is the host's own.
        """
        known, found = await self._store.storage(self._host), self._found(seen)
        if found is None and known is None:
            known = found = await self._keep()
        elif found is not None and (known is None or not any(record.exists for record in records)):
            known = await self._adopt(known, found)
        elif found is not None and storage_name(self._installation.name) not in seen.containers:
            await self._engine.keep_storage(self._installation.name, found)
        self._report(host_storage_problem(self._host, known, found, self._installation.name))
        return self._problem is None

    async def accept(self) -> str:
        """Take the storage that is there now for this host's, as a person decided; returns its identity."""
        found = self._found(await self._engine.observe_all())
        if found is None:
            return await self._keep()
        return await self._adopt(await self._store.storage(self._host), found)

    def _found(self, seen: Snapshot) -> str | None:
        return seen.storages.get(self._installation.name)

    async def _keep(self) -> str:
        """Make the sentinel, then the note: if that is lost, the sentinel is adopted the next time."""
        return await self._adopt(None, await self._engine.keep_storage(self._installation.name, uuid4().hex))

    async def _adopt(self, known: str | None, found: str) -> str:
        if known != found:
            await self._store.set_storage(self._host, found)
            _log.info("storage_accepted", host=self._host, storage=found, before=known)
        return found

    def _report(self, problem: str | None) -> None:
        """Log when the storage goes missing and when it is back, once each."""
        if problem is not None and self._problem is None:
            _log.error("storage_missing", host=self._host, reason=problem)
        if problem is None and self._problem is not None:
            _log.info("storage_back", host=self._host)
        self._problem = problem
