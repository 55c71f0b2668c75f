"""Answers questions about the inside of a pod. These are no intents: only a command's start is recorded."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import structlog

from worker.errors import (
    ConflictError,
    HostAwayError,
    InsideClosedError,
    NotRunningError,
    ObjectMissingError,
    OutcomeUnknownError,
    PodBusyError,
)
from worker.interfaces import Store, Streams
from worker.pods.model import Record
from worker.service.examination import Forward
from worker.service.inside.asked import MOST_BYTES, Execution, Logs
from worker.service.inside.masking import beginning, ending, secrets_in
from worker.service.patience import Patience, load_pod, no_pod

_log: Final = structlog.get_logger(__name__)
_LAST_LINES: Final = 20
_LAST_BYTES: Final = 8000
"""Of the last lines, in the answer to a question about a pod."""
_AT_ONCE: Final = 4
"""Commands that run in one pod at a time. Each occupies a thread, and callers of other pods need some too."""


class Inside:
    """Answers on the host that has the pod, with the values of the pod's `env` masked."""

    def __init__(
        self, *, host: str, store: Store, streams: Streams, patience: Patience, is_open: bool
    ) -> None:
        """`is_open` is false if the operator has switched this off."""
        self._host = host
        self._store = store
        self._streams = streams
        self._patience = patience
        self._is_open = is_open
        self._running: Counter[str] = Counter()

    async def look(self, pod_id: str, asked: Logs | Execution, *, task_id: str) -> dict[str, Any] | Forward:
        """Return what was asked for, or the host that has to answer.

        Raises InsideClosedError, PodNotFoundError, HostAwayError, NotRunningError, PodBusyError, and
        OutcomeUnknownError for a command that was begun under this task id before: it never runs twice.
        """
        if not self._is_open:
            raise InsideClosedError(
                "pods.logs and pods.exec are switched off here (PINACLE_EXEC=off); allowed: all other tasks"
            )
        record = await self._patience.until_answered(lambda: load_pod(self._store, pod_id))
        if not record.exists:
            raise no_pod(pod_id)
        if record.host != self._host:
            return await self._elsewhere(record)
        container_id = _container_of(record)
        try:
            if isinstance(asked, Logs):
                return await self._logs(record, container_id, asked)
            with self._counted(pod_id):
                return await self._execute(record, container_id, asked, task_id)
        except ObjectMissingError as error:
            raise NotRunningError(
                f"pod_id: the container of pod {pod_id!r} is gone, and it gets another one soon; try again"
            ) from error

    async def last_lines(self, record: Record) -> str | None:
        """Return the last lines that the container of a pod of this host printed; None if they are not shown.

        Raises PodError.
        """
        if not self._is_open or record.state.container_id is None:
            return None
        asked = Logs(tail=_LAST_LINES, since=None)
        answer = await self._logs(record, record.state.container_id, asked, most_bytes=_LAST_BYTES)
        return str(answer["output"])

    async def _elsewhere(self, record: Record) -> Forward:
        if record.host in await self._store.live_hosts():
            return Forward(host=record.host, accepted=False)
        raise HostAwayError(
            f"pod_id: pod {record.pod_id!r} is on host {record.host}, which has no heartbeat; "
            "try again once its worker is back"
        )

    async def _logs(
        self, record: Record, container_id: str, asked: Logs, *, most_bytes: int = MOST_BYTES
    ) -> dict[str, Any]:
        secrets = await self._secrets(record, container_id)
        printed = await self._streams.logs(
            container_id, tail=asked.tail, since=asked.since, most_bytes=most_bytes
        )
        # With many values and much text this takes a while, and others are to be answered meanwhile.
        output, is_whole = await asyncio.to_thread(ending, printed, secrets, most_bytes)
        return {
            "pod_id": record.pod_id,
            "container_id": container_id,
            "truncated": not is_whole,
            "output": output,
        }

    async def _execute(
        self, record: Record, container_id: str, asked: Execution, task_id: str
    ) -> dict[str, Any]:
        secrets = await self._secrets(record, container_id)
        if not await self._store.begin_once(task_id):
            raise OutcomeUnknownError(
                f"outcome_unknown: the command of task {task_id} was begun before, and how it ended is not "
                "known. It does not run twice; allowed: to look what it did, or to send it under a new id"
            )
        _log.info("exec_begun", pod_id=record.pod_id, user=asked.user, timeout_s=asked.timeout_s)
        try:
            ended = await self._streams.execute(
                container_id,
                asked.command,
                user=asked.user,
                timeout_s=asked.timeout_s,
                most_bytes=MOST_BYTES,
            )
        except ConflictError as error:
            raise NotRunningError(
                f"pod_id: pod {record.pod_id!r} does not run, so nothing can run in it; "
                "allowed: pods.start first"
            ) from error
        stdout, all_out = await asyncio.to_thread(beginning, ended.stdout, secrets, MOST_BYTES)
        stderr, all_err = await asyncio.to_thread(beginning, ended.stderr, secrets, MOST_BYTES)
        return {
            "pod_id": record.pod_id,
            "container_id": container_id,
            "exit_code": ended.exit_code,
            "timed_out": ended.timed_out,
            "truncated": not (all_out and all_err),
            "stdout": stdout,
            "stderr": stderr,
        }

    async def _secrets(self, record: Record, container_id: str) -> Sequence[bytes]:
        """Return what is masked: what the container was given, and what it is to be given next."""
        wanted = record.intent.spec.env.values() if record.intent.spec is not None else ()
        given = await self._patience.until_answered(lambda: self._streams.given_values(container_id))
        return secrets_in([*given, *wanted])

    @contextmanager
    def _counted(self, pod_id: str) -> Iterator[None]:
        if self._running[pod_id] >= _AT_ONCE:
            raise PodBusyError(
                f"pod_id: {_AT_ONCE} commands run in pod {pod_id!r} already; try again when one has ended"
            )
        self._running[pod_id] += 1
        try:
            yield
        finally:
            self._running[pod_id] -= 1
            if not self._running[pod_id]:
                del self._running[pod_id]


def _container_of(record: Record) -> str:
    if record.state.container_id is None:
        raise NotRunningError(f"pod_id: pod {record.pod_id!r} has no container yet; try again once it has")
    return record.state.container_id
