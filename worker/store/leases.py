"""Leases: fenced, expiring, and renewed automatically until they are released."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final
from uuid import uuid4

import structlog
from redis.asyncio import Redis

from worker.cancelling import end
from worker.errors import LeaseHeldError, StoreUnavailableError
from worker.store import keys, scripts
from worker.store.translate import translated

_log: Final = structlog.get_logger(__name__)
_MS: Final = 1000


class RedisLease:
    """The right to change one pod; see `worker.interfaces.Lease`."""

    def __init__(self, *, token: int, owner: str, valid_until: float, clock: Callable[[], float]) -> None:
        """`valid_until` is in seconds of `clock`, which is monotonic."""
        self.token = token
        self.owner = owner
        self.valid_until = valid_until
        self._clock = clock
        self.renewal: asyncio.Task[None] | None = None
        self.abandoned = False

    def remaining(self) -> float:
        return self.valid_until - self._clock()


class Leases:
    """Gives, renews and takes back leases.

    A lease is valid for `ttl_s`, counted from before it was asked for. Redis keeps it for `takeover_delay_s`
    longer, so that the last step of a holder that died has ended before anybody else begins one (protocol 5).
    """

    def __init__(
        self,
        *,
        redis: Redis,
        ttl_s: float,
        takeover_delay_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ttl_s = ttl_s
        self._kept_ms = round((ttl_s + takeover_delay_s) * _MS)
        # Nobody begins a step unless the lease lasts longer than that takes: what is left is the margin.
        self._every_s = max(ttl_s - takeover_delay_s, ttl_s / 10) / 3
        self._clock = clock
        self._take = redis.register_script(scripts.TAKE_LEASE)
        self._renew = redis.register_script(scripts.RENEW_LEASE)
        self._release = redis.register_script(scripts.RELEASE_LEASE)

    async def take(self, pod_id: str) -> RedisLease:
        """Take a pod's lease. Raises LeaseHeldError or StoreUnavailableError."""
        owner, asked_at = uuid4().hex, self._clock()
        with translated("lease"):
            token = await self._take(keys=[keys.lease(pod_id), keys.FENCE], args=[owner, self._kept_ms])
        if token is None:
            raise LeaseHeldError(f"pod {pod_id}: somebody else is working on it")
        lease = RedisLease(
            token=int(token), owner=owner, valid_until=asked_at + self._ttl_s, clock=self._clock
        )
        lease.renewal = asyncio.create_task(self._keep(pod_id, lease), name=f"renew lease of {pod_id}")
        return lease

    async def release(self, pod_id: str, lease: RedisLease) -> None:
        """Give a lease back; does nothing if it is lost."""
        if lease.renewal is not None:
            await end([lease.renewal])
        lease.valid_until = self._clock()
        with translated("lease"):
            await self._release(keys=[keys.lease(pod_id)], args=[lease.owner, keys.changed(pod_id)])

    def abandon(self, lease: RedisLease) -> None:
        """Leave a lease to expire. This is no coroutine: a task that is being cancelled cannot wait."""
        lease.abandoned = True
        if lease.renewal is not None:
            lease.renewal.cancel()

    async def _keep(self, pod_id: str, lease: RedisLease) -> None:
        """Renew until cancelled; a renewal that fails leaves the lease to expire."""
        # A single cancellation may get lost, see `worker.cancelling`, so `abandoned` is checked as well.
        while lease.remaining() > 0 and not lease.abandoned:
            await asyncio.sleep(self._every_s)
            asked_at = self._clock()
            try:
                with translated("lease"):
                    kept = await self._renew(keys=[keys.lease(pod_id)], args=[lease.owner, self._kept_ms])
            except StoreUnavailableError as error:
                _log.warning("lease_not_renewed", pod_id=pod_id, reason=str(error))
                continue
            if not kept:
                lease.valid_until = asked_at
                return
            lease.valid_until = asked_at + self._ttl_s
