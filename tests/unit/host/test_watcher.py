"""The watcher looks into what the Engine reports, and goes on whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from tests.support.fake_store import FakeStore
from worker.host.watcher import Watcher, is_unexpected
from worker.interfaces import ContainerEvent
from worker.pods.model import Intent, IntentKind, PodState, Record
from worker.process.repeating import kept_going

RUNS: Final = Record(
    pod_id="a",
    host="here",
    intent=Intent(kind=IntentKind.RUNNING, generation=1, spec=None),
    state=PodState(container_id="c1"),
)
STOPPED: Final = RUNS.evolve(intent=RUNS.intent.evolve(kind=IntentKind.STOPPED))
DIED: Final = ContainerEvent(pod_id="a", container_id="c1", action="die")


@pytest.mark.parametrize(
    ("record", "action", "container_id", "unexpected"),
    [
        (RUNS, "die", "c1", True),
        (RUNS, "destroy", "c1", True),
        (RUNS, "pause", "c1", True),
        (RUNS, "rename", "c1", True),
        (RUNS, "start", "c1", False),
        (RUNS, "unpause", "c1", False),
        (RUNS, "die", "another", False),
        (STOPPED, "start", "c1", True),
        (STOPPED, "die", "c1", False),
    ],
)
def test_an_event_is_unexpected_if_it_leaves_a_pod_not_as_its_intent_says(
    record: Record, action: str, container_id: str, unexpected: bool
) -> None:
    event = ContainerEvent(pod_id="a", container_id=container_id, action=action)
    assert is_unexpected(event, record) == unexpected


class Connections:
    """Event streams, one after the other: what each reports, and how it ends."""

    def __init__(self, *streams: list[ContainerEvent | Exception]) -> None:
        self.streams = list(streams)

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        yield self._told(self.streams.pop(0) if self.streams else [])

    async def _told(self, stream: list[ContainerEvent | Exception]) -> AsyncIterator[ContainerEvent]:
        await asyncio.sleep(0)  # Like any answer over a wire.
        for each in stream:
            if isinstance(each, Exception):
                raise each
            yield each
        await asyncio.Event().wait()


class Desk:
    """Notes which pods are poked, and stands in for passes too."""

    def __init__(self, *failures: Exception) -> None:
        self.poked: asyncio.Queue[str] = asyncio.Queue()
        self.passes = 0
        self.failed = asyncio.Event()
        """Set once there are no failures left."""
        self._failures = list(failures)

    async def until_resting(self, pod_id: str) -> None:
        if self._failures:
            error = self._failures.pop(0)
            self.failed.set()
            raise error

    def poke(self, pod_id: str, *, urgent: bool) -> None:
        self.poked.put_nowait(pod_id)

    async def run(self, *, wait_s: float) -> None:
        self.passes += 1


async def first_poked(connections: Connections, desk: Desk) -> str:
    """Watch until a pod is poked; it has to come soon."""
    store = FakeStore()
    store.records["a"] = RUNS
    parts: dict[str, Any] = {"dispatcher": desk, "passes": desk}
    watcher = Watcher(events=connections, store=store, pass_wait_s=1.0, **parts)
    watching = asyncio.create_task(kept_going("watcher", watcher.run))
    try:
        return await asyncio.wait_for(desk.poked.get(), 5)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_an_unexpected_error_does_not_end_it() -> None:
    """The stream is connected again, and a pass sees what was missed."""
    desk = Desk()
    assert await first_poked(Connections([ValueError("a bug")], [DIED]), desk) == "a"
    assert desk.passes == 2


async def test_an_error_while_looking_into_one_event_leaves_the_pods_next_ones_alone() -> None:
    desk = Desk(ValueError("a bug"))

    class Slowly(Connections):
        async def _told(self, stream: list[ContainerEvent | Exception]) -> AsyncIterator[ContainerEvent]:
            yield DIED
            await desk.failed.wait()
            await asyncio.sleep(0)
            yield DIED
            await asyncio.Event().wait()

    assert await first_poked(Slowly(), desk) == "a"
