"""Requests about whole hosts."""

from collections.abc import Sequence
from typing import Any

from worker.errors import InvalidInputError
from worker.host.passes import Passes
from worker.host.pool_guard import PoolGuard
from worker.host.storage_guard import StorageGuard
from worker.interfaces import Store
from worker.quoting import shown


class Hosts:
    """Runs passes and carries out what a person decided about a host, on that host."""

    def __init__(
        self,
        *,
        host: str,
        store: Store,
        guard: StorageGuard,
        pool_guard: PoolGuard,
        passes: Passes,
        task_wait_s: float,
    ) -> None:
        """`task_wait_s` is how long a pass waits for its repairs, in seconds."""
        self._host = host
        self._store = store
        self._guard = guard
        self._pool_guard = pool_guard
        self._passes = passes
        self._task_wait_s = task_wait_s

    async def is_here(self, host: Any) -> bool:
        """Whether `host` is this one; False for another one that has a worker.

        Raises InvalidInputError for anything else.
        """
        if host == self._host:
            return True
        live = await self._store.live_hosts()
        if not isinstance(host, str) or host not in live:
            raise InvalidInputError(
                f"host: {shown(host)} is not a host with a worker; allowed: {', '.join(sorted(live))}"
            )
        return False

    async def others(self) -> Sequence[str]:
        """Return the other hosts that have a worker."""
        return sorted(await self._store.live_hosts() - {self._host})

    async def run_pass(self) -> dict[str, Any]:
        """Run a pass over this host's pods."""
        result = await self._passes.run(wait_s=self._task_wait_s)
        return result.as_json()

    async def accept_storage(self) -> dict[str, Any]:
        """Accept the storage that is there now as this host's own, and its pool, if it has one.

        Raises PermanentError if it is the storage of a host that was renamed, and what a pool raises if what
        is mounted cannot be one.
        """
        # Both or neither: what is accepted is not taken back.
        await self._pool_guard.examine()
        identity = await self._guard.accept()
        pool = await self._pool_guard.accept()
        await self._passes.run(wait_s=0.0)
        return {"host": self._host, "storage": identity, "pool": pool}

    async def rename(self, old: Any) -> dict[str, Any]:
        """Give the pods that are recorded under the former name `old` to this host, which has their storage.

        Raises InvalidInputError, having written nothing.
        """
        if not isinstance(old, str):
            raise InvalidInputError(f"old: {shown(old)} is not the name of a host; allowed: a string")
        moved = await self._guard.take_over(old)
        await self._passes.run(wait_s=0.0)
        return {"former": old, "host": self._host, "pods": moved}
