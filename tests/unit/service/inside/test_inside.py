"""What is asked of the inside of a pod: once, by whoever may, not too much at a time, and masked."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import pod
from worker.errors import (
    ConflictError,
    HostAwayError,
    InsideClosedError,
    NotRunningError,
    OutcomeUnknownError,
    PodBusyError,
    PodNotFoundError,
)
from worker.interfaces import Ended
from worker.pods.model import Record
from worker.service.examination import Forward
from worker.service.inside.asked import Execution, Logs
from worker.service.inside.inside import Inside
from worker.service.patience import Patience

NOBODY: Final[Any] = None
LIST: Final = Execution(command=("ls",), user=None, timeout_s=1.0)


class Streams:
    """Prints two values that are to be masked, and counts what it runs."""

    def __init__(self) -> None:
        self.ran = 0
        self.held: asyncio.Event | None = None
        self.full = asyncio.Event()
        """Set once four commands have begun."""
        self.error: Exception | None = None

    async def given_values(self, container_id: str) -> Sequence[str]:
        return ["the-given-value"]

    async def logs(self, container_id: str, *, tail: int, since: float | None, most_bytes: int) -> bytes:
        return b"the-given-value the-next-value"

    async def execute(self, container_id: str, command: Sequence[str], **_: Any) -> Ended:
        self.ran += 1
        if self.ran == 4:
            self.full.set()
        if self.held is not None:
            await self.held.wait()
        if self.error is not None:
            raise self.error
        return Ended(exit_code=0, timed_out=False, stdout=b"the-given-value", stderr=b"the-next-value")


def inside(streams: Streams, record: Record | None = None, *, is_open: bool = True) -> Inside:
    store = FakeStore()
    known = pod(spec={"env": {"A": "the-next-value"}}) if record is None else record
    store.records[known.pod_id] = known
    patience = Patience(dispatcher=NOBODY, task_wait_s=1.0)
    return Inside(host="here", store=store, streams=streams, patience=patience, is_open=is_open)


async def test_a_command_runs_once_for_a_task() -> None:
    """Another one under the same id, after a worker was killed, may do harm that nobody asked for."""
    streams = Streams()
    own = inside(streams)
    answer = await own.look("a", LIST, task_id="t1")
    assert isinstance(answer, dict)
    assert (answer["exit_code"], answer["stdout"], answer["stderr"]) == (0, "***", "***")
    with pytest.raises(OutcomeUnknownError, match="outcome_unknown"):
        await own.look("a", LIST, task_id="t1")
    assert streams.ran == 1
    await own.look("a", LIST, task_id="t2")
    assert streams.ran == 2


async def test_what_the_container_has_and_what_the_next_one_gets_is_masked() -> None:
    answer = await inside(Streams()).look("a", Logs(tail=1, since=None), task_id="t")
    assert isinstance(answer, dict)
    assert answer["output"] == "*** ***"


@pytest.mark.parametrize("asked", [LIST, Logs(tail=1, since=None)])
async def test_nothing_is_answered_where_it_is_closed(asked: Execution | Logs) -> None:
    streams = Streams()
    own = inside(streams, is_open=False)
    with pytest.raises(InsideClosedError):
        await own.look("a", asked, task_id="t")
    assert await own.last_lines(pod()) is None
    assert streams.ran == 0


async def test_the_fifth_command_at_a_time_is_refused_and_none_later() -> None:
    streams = Streams()
    streams.held = asyncio.Event()
    own = inside(streams)
    under_way = [asyncio.create_task(own.look("a", LIST, task_id=f"t{number}")) for number in range(4)]
    await streams.full.wait()
    with pytest.raises(PodBusyError):
        async with asyncio.timeout(5):
            await own.look("a", LIST, task_id="t5")
    streams.held.set()
    await asyncio.gather(*under_way)
    assert isinstance(await own.look("a", LIST, task_id="t5"), dict)


async def test_a_pod_that_does_not_run_is_named_with_what_to_do() -> None:
    streams = Streams()
    streams.error = ConflictError("container is not running")
    with pytest.raises(NotRunningError, match=r"pods\.start first"):
        await inside(streams).look("a", LIST, task_id="t")
    with pytest.raises(NotRunningError, match="no container yet"):
        await inside(streams, pod(container_id=None)).look("a", LIST, task_id="t")


async def test_another_hosts_pod_is_looked_into_there_if_anybody_is() -> None:
    streams = Streams()
    own = inside(streams, pod(host="there"))
    with pytest.raises(HostAwayError):
        await own.look("a", LIST, task_id="t")
    await own._store.beat_heart("there")
    assert await own.look("a", LIST, task_id="t") == Forward(host="there", accepted=False)
    with pytest.raises(PodNotFoundError):
        await own.look("nobody", LIST, task_id="t")
    assert streams.ran == 0
