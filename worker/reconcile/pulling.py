"""Tells who waits for a pod how far the pull of its image has come, and holds up neither pull nor pod."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog

from worker.cancelling import end
from worker.errors import StoreUnavailableError
from worker.interfaces import Progress, Store, Tell
from worker.pods.model import Record

_log: Final = structlog.get_logger(__name__)
_EVERY_S: Final = 1.0
"""How often followers hear of a pull at most; each time is a write to Redis' disk."""
_AGAIN_S: Final = 5.0
"""How often a pull that stands still is noted again; the note is kept for a few times as long."""
_LAST_S: Final = 1.0


class Pulls:
    """Tells of the pulls that this process has under way."""

    def __init__(self, *, store: Store, every_s: float = _EVERY_S, again_s: float = _AGAIN_S) -> None:
        self._store = store
        self._every_s = every_s
        self._again_s = again_s
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def telling(self, record: Record) -> Iterator[Tell]:
        """Yield what takes news of a pull for a pod. Once this is left, the pull counts as ended."""
        pull = _Pull(record)
        try:
            yield lambda progress: self._take(pull, progress)
        finally:
            pull.is_over.set()

    async def close(self) -> None:
        """Stop telling; the last news may still be told within a second."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_S)
            await end(self._tasks)

    def _take(self, pull: "_Pull", progress: Progress) -> None:
        if pull.newest is None and progress.total_layers:
            # A task of its own, so that a Redis that does not answer delays nothing.
            task = asyncio.get_running_loop().create_task(self._tell_all(pull), name="tell of a pull")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if progress.total_layers:
            pull.newest = progress

    async def _tell_all(self, pull: "_Pull") -> None:
        while not pull.is_over.is_set():
            await self._try(pull, self._tell(pull))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await pull.is_over.wait()
        await self._try(pull, self._tell(pull))
        await self._try(pull, self._store.forget_progress(pull.record.pod_id))

    async def _try(self, pull: "_Pull", write: Coroutine[Any, Any, None]) -> None:
        """Write something; if Redis is away, say so once, as the next news may find it there again."""
        try:
            await write
        except StoreUnavailableError as error:
            if not pull.has_failed:
                pull.has_failed = True
                _log.info("pull_not_told", pod_id=pull.record.pod_id, reason=str(error))

    async def _tell(self, pull: "_Pull") -> None:
        now = asyncio.get_running_loop().time()
        newest, is_news = pull.newest, pull.newest != pull.told
        if newest is not None and (is_news or now - pull.told_at >= self._again_s):
            await self._store.tell_progress(pull.record, newest, is_news=is_news)
            pull.told, pull.told_at = newest, now


class _Pull:
    """One pull for one pod, and what was told of it."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.newest: Progress | None = None
        self.told: Progress | None = None
        self.told_at = 0.0
        self.has_failed = False
        self.is_over = asyncio.Event()
