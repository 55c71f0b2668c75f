"""A few pods are made at a time; those that hang do not hold up all others, and nothing else waits."""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN
from worker.errors import EngineFailedError
from worker.interfaces import Proposal
from worker.pods.model import Intent, IntentKind, Phase
from worker.pods.observation import ObservedVolume
from worker.pods.spec import PodSpec
from worker.reconcile import turns
from worker.reconcile.reconciler import Reconciler
from worker.reconcile.turns import Places

AT_ONCE: Final = 2
SPEC: Final = PodSpec(image="image")


class SlowEngine(FakeEngine):
    """An Engine that makes and starts a pod only when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.images = {"image": IMAGE}
        self.making: set[str] = set()
        self.made: set[str] = set()
        self.most = 0
        self.hanging: set[str] = set()
        self.hang, self.lets_go = asyncio.Event(), asyncio.Event()
        self.starts = asyncio.Event()
        self.holds_starts: asyncio.Event | None = None

    async def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str] = MappingProxyType({})
    ) -> ObservedVolume:
        pod_id = name.split("-")[2]
        self.making.add(pod_id)
        self.made.add(pod_id)
        self.most = max(self.most, len(self.making))
        await asyncio.sleep(0)
        if pod_id in self.hanging:
            if self.hanging <= self.making:
                self.hang.set()
            await self.lets_go.wait()
        return await super().create_volume(name, labels, options)

    async def start_container(self, container_id: str) -> None:
        await asyncio.sleep(0)
        if self.holds_starts is not None and self._by_id(container_id).observed.pod_id == "other":
            self.starts.set()
            await self.holds_starts.wait()
        await super().start_container(container_id)
        self.making.discard(self._by_id(container_id).observed.pod_id or "")


class Host:
    def __init__(self) -> None:
        self.engine, self.store = SlowEngine(), FakeStore()
        self.reconciler = Reconciler(
            engine=self.engine,
            store=self.store,
            installation=OWN,
            clock=lambda: 0.0,
            step_deadline_s=5.0,
            makes_at_once=AT_ONCE,
        )

    async def accept(self, pod_id: str, kind: IntentKind = IntentKind.RUNNING, spec: PodSpec = SPEC) -> None:
        """Accept an intent."""
        known = self.store.records.get(pod_id)
        generation = known.intent.generation if known is not None else 0
        purge = generation + 1 if kind is IntentKind.DELETED else 0
        intent = Intent(
            kind=kind, generation=generation + 1, spec=spec, accepted_at=0.0, purge_generation=purge
        )
        await self.store.accept(
            Proposal(
                pod_id=pod_id,
                task_id=f"{pod_id} {generation}",
                expected_generation=generation,
                host="here",
                intent=intent,
            )
        )
        if known is None:
            record = self.store.records[pod_id]
            self.store.records[pod_id] = record.evolve(state=record.state.evolve(image=IMAGE))

    async def want(self, pod_id: str, kind: IntentKind = IntentKind.RUNNING, spec: PodSpec = SPEC) -> Phase:
        """Accept an intent, and bring the pod there."""
        await self.accept(pod_id, kind, spec)
        return (await self.reconciler.reconcile(pod_id)).record.state.phase


@pytest.fixture
async def host() -> Host:
    return Host()


async def test_only_a_few_pods_are_made_at_a_time(host: Host) -> None:
    """From the first volume to the start: each is ready before the one after the next is begun."""
    names = [f"p{number}" for number in range(8)]
    phases = await asyncio.gather(*map(host.want, names))
    assert set(phases) == {Phase.RUNNING}
    assert host.engine.most == AT_ONCE


async def test_a_start_waits_for_no_creation(host: Host) -> None:
    await host.want("other")
    await host.want("other", IntentKind.STOPPED)
    host.engine.hanging = {"p0", "p1"}
    making = asyncio.gather(host.want("p0"), host.want("p1"))
    await host.engine.hang.wait()
    assert await asyncio.wait_for(host.want("other"), 5) is Phase.RUNNING
    host.engine.lets_go.set()
    assert set(await making) == {Phase.RUNNING}


async def test_new_pods_wait_while_another_one_is_changed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of their steps, and for a time only."""
    await host.want("other")
    host.engine.hanging = {"p0", "p1"}
    making = [asyncio.create_task(host.want(f"p{number}")) for number in range(4)]
    await host.engine.hang.wait()
    host.engine.holds_starts = asyncio.Event()
    changed = asyncio.create_task(host.want("other", spec=PodSpec(image="image", hostname="new")))
    await host.engine.starts.wait()
    host.engine.lets_go.set()
    for _ in range(500):
        await asyncio.sleep(0)
    assert host.engine.making == {"p0", "p1"}
    host.engine.holds_starts.set()
    assert set(await asyncio.wait_for(asyncio.gather(changed, *making), 5)) == {Phase.RUNNING}
    monkeypatch.setattr(turns, "PATIENCE_S", 0.05)
    host.engine.holds_starts, host.engine.starts = asyncio.Event(), asyncio.Event()
    changed = asyncio.create_task(host.want("other", spec=PodSpec(image="image", hostname="newer")))
    await host.engine.starts.wait()
    assert await asyncio.wait_for(host.want("p9"), 5) is Phase.RUNNING
    host.engine.holds_starts.set()
    assert await changed is Phase.RUNNING


async def test_new_pods_do_not_wait_for_pods_that_come_back_after_a_loss(host: Host) -> None:
    """Hundreds may come back after a restart of the host, and nobody has asked for them just now."""
    await host.want("other")
    await host.engine.remove_container(host.engine.containers["pinacle-pod-other"].observed.id, force=True)
    host.engine.holds_starts = asyncio.Event()
    back = asyncio.create_task(host.reconciler.reconcile("other"))
    await host.engine.starts.wait()
    assert await asyncio.wait_for(host.want("p0"), 5) is Phase.RUNNING
    host.engine.holds_starts.set()
    await back


async def test_pods_that_hang_hold_up_the_others_for_a_time_only(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more at a time than there are places: those that waited together do not go on together."""
    monkeypatch.setattr(turns, "HELD_S", 0.05)
    host.engine.hanging = {"p0", "p1"}
    making = asyncio.gather(host.want("p0"), host.want("p1"))
    await host.engine.hang.wait()
    others = asyncio.gather(*(host.want(f"p{number}") for number in range(2, 8)))
    assert set(await asyncio.wait_for(others, 5)) == {Phase.RUNNING}
    assert host.engine.most == 2 * AT_ONCE
    host.engine.lets_go.set()
    await making


async def test_a_place_that_counts_as_free_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever had it may give it back later, without harm."""
    monkeypatch.setattr(turns, "HELD_S", 0.05)
    places = Places(1)
    hanging = await places.take()
    monkeypatch.setattr(turns, "HELD_S", 60)
    waiting = asyncio.create_task(places.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    monkeypatch.setattr(turns, "HELD_S", 0)
    second = await places.take()
    monkeypatch.setattr(turns, "HELD_S", 60)
    places.give_back(hanging)
    third = asyncio.create_task(places.take())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not third.done()
    places.give_back(second)
    places.give_back(await asyncio.wait_for(third, 5))


async def test_whoever_failed_gives_its_turn_back(host: Host) -> None:
    def refuse(operation: str) -> None:
        if operation == "container_create":
            raise EngineFailedError("no")

    host.engine.before = refuse
    for number in range(AT_ONCE):
        assert await host.want(f"refused{number}") is not Phase.RUNNING
    host.engine.before = lambda _operation: None
    async with asyncio.timeout(5):
        assert await host.want("p0") is Phase.RUNNING


async def test_an_update_that_keeps_data_waits_for_no_creation(host: Host) -> None:
    """By the time that it makes another container it has stopped the pod."""
    await host.want("other")
    host.engine.make_file("other", "/data/file", "text")
    host.engine.hanging = {"p0", "p1"}
    making = asyncio.gather(host.want("p0"), host.want("p1"))
    await host.engine.hang.wait()
    (before,) = host.engine.of_pod("other")
    assert await asyncio.wait_for(host.want("other", spec=PodSpec(image="image", hostname="new")), 5)
    assert host.engine.is_running("other")
    assert before not in host.engine.of_pod("other"), "it has another container"
    assert host.engine.visible("other")["/data/file"] == "text"
    host.engine.lets_go.set()
    await making


async def test_a_pod_that_is_deleted_while_it_waits_is_not_made(host: Host) -> None:
    host.engine.hanging = {"p0", "p1"}
    making = [asyncio.create_task(host.want(each)) for each in ("p0", "p1", "p2")]
    await host.engine.hang.wait()
    for _ in range(100):
        await asyncio.sleep(0)  # By then it waits as well.
    await host.accept("p2", IntentKind.DELETED)
    host.engine.lets_go.set()
    assert await making[2] is Phase.DELETED
    await asyncio.gather(*making)
    assert host.engine.made == {"p0", "p1"}


async def test_on_a_large_host_some_changes_keep_nobody_waiting() -> None:
    """There the Engine does a few things at a time."""
    places = Places(8)
    for _ in range(3):
        places.begin_change()
    await asyncio.wait_for(places.let_changes_pass(60), 5)
    places.begin_change()
    waiting = asyncio.create_task(places.let_changes_pass(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    places.end_change()
    await asyncio.wait_for(waiting, 5)
