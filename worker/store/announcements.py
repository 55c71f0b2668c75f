"""Waits for pods to change: one subscription for the whole process, shared by all callers that wait."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from redis.asyncio import Redis

from worker.cancelling import end
from worker.errors import StoreUnavailableError
from worker.store import keys
from worker.store.translate import translated

_log: Final = structlog.get_logger(__name__)
_RECONNECT_S: Final = 0.5


class Announcements:
    """Follows the announcements of all pods while anybody waits for one."""

    def __init__(self, *, redis: Redis) -> None:
        self._redis = redis
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._follower: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    async def wait(self, pod_id: str, is_over: Callable[[], Awaitable[bool]], timeout_s: float) -> None:
        """Return once `is_over`, asked after each announcement, says so, or time is up.

        It subscribes first and asks second, so that no change falls between the two. Raises
        StoreUnavailableError if asking fails.
        """
        news = asyncio.Event()
        self._waiting[pod_id].add(news)
        try:
            deadline = asyncio.get_running_loop().time() + timeout_s
            await self._follow(deadline)
            # The deadline is not around `is_over`: a cancellation inside it could get lost, see `end`.
            while not await is_over() and await _is_set(news, deadline):
                news.clear()
        finally:
            self._waiting[pod_id].discard(news)
            if not self._waiting[pod_id]:
                del self._waiting[pod_id]

    async def close(self) -> None:
        if self._follower is not None:
            await end([self._follower])

    async def _follow(self, deadline: float) -> None:
        if self._follower is None or self._follower.done():
            self._follower = asyncio.create_task(self._listen(), name="watch pods")
        await _is_set(self._subscribed, deadline)

    async def _listen(self) -> None:
        """Read announcements while anybody waits; after each reconnect all look again."""
        try:
            while self._waiting:
                try:
                    with translated("watch"):
                        await self._read()
                except StoreUnavailableError as error:
                    _log.warning("watch_interrupted", reason=str(error))
                    self._subscribed.clear()
                    await asyncio.sleep(_RECONNECT_S)
        finally:
            self._subscribed.clear()

    async def _read(self) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.psubscribe(f"{keys.CHANGES}*")
            while self._waiting:
                message = await subscription.get_message(timeout=1.0)
                if message is None:
                    continue
                if message["type"] == "psubscribe":
                    self._subscribed.set()
                    self._tell_all()
                elif message["type"] == "pmessage":
                    self._tell(message["channel"].removeprefix(keys.CHANGES))

    def _tell(self, pod_id: str) -> None:
        for news in self._waiting.get(pod_id, ()):
            news.set()

    def _tell_all(self) -> None:
        for pod_id in list(self._waiting):
            self._tell(pod_id)


async def _is_set(event: asyncio.Event, deadline: float) -> bool:
    """Wait for an event; return False if `deadline`, by the loop's clock, comes first."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            return await event.wait()
    return False
