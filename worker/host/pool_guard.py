"""Opens the host's pool, and holds it to be the one that this host's pods are on."""

from collections.abc import Iterable
from typing import Final

import structlog

from worker.errors import PodError
from worker.interfaces import PodPool, Store
from worker.pods.model import Record

_log: Final = structlog.get_logger(__name__)


class PoolGuard:
    """Knows which filesystem is the pool: what is noted in the store, or else what the host's records say.

    So a filesystem that is mounted in the pool's place does not get this host's next pods.
    """

    def __init__(self, *, host: str, store: Store, pool: PodPool | None) -> None:
        """`pool` is None on a host that has none."""
        self._host = host
        self._store = store
        self._pool = pool
        self._problem: str | None = None

    async def open(self, records: Iterable[Record]) -> None:
        """Open the pool unless that was done; if it cannot be, say so once: pods without it go on.

        `records` are the host's. Raises StoreUnavailableError.
        """
        if self._pool is None or self._pool.is_open:
            return
        noted = await self._store.pool(self._host)
        try:
            uuid = await self._pool.open(noted or _recorded(records))
        except PodError as error:
            self._report(str(error))
            return
        self._report(None)
        if noted is None:
            await self._store.set_pool(self._host, uuid)

    async def examine(self) -> None:
        """Find out whether `accept` will succeed. Raises what it would raise, having changed nothing."""
        if self._pool is not None:
            await self._pool.examine()

    async def accept(self) -> str | None:
        """Take the filesystem that is mounted now for this host's pool, as a person decided; return its UUID.

        Returns None on a host without a pool. Raises what the pool raises if it cannot be one.
        """
        if self._pool is None:
            return None
        uuid = await self._pool.open(None)
        await self._store.set_pool(self._host, uuid)
        return uuid

    def _report(self, problem: str | None) -> None:
        if problem is not None and problem != self._problem:
            _log.error("pool_missing", host=self._host, reason=problem)
        self._problem = problem


def _recorded(records: Iterable[Record]) -> str | None:
    """Return the one pool that these pods are on, None if it is not known, or not only one."""
    known = {
        record.state.subvolume.pool
        for record in records
        if record.exists and record.state.subvolume is not None
    }
    return known.pop() if len(known) == 1 else None
