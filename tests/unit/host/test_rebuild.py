"""A host is reported container by container: whatever is wrong with one, the others are known."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
import structlog

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN, pod
from worker.errors import EngineUnavailableError, LeaseLostError, ObjectMissingError, StoreUnavailableError
from worker.host.claiming import Claiming
from worker.host.rebuild import Rebuild
from worker.planner.container import container_request, volume_labels
from worker.pods import naming
from worker.pods.model import Phase
from worker.pods.observation import ContainerState
from worker.pods.shape import ImageShape

ALL: Final = {"a", "b", "c"}


@pytest.fixture
async def engine() -> FakeEngine:
    """An Engine with three pods that run."""
    engine = FakeEngine()
    engine.images[IMAGE.reference] = IMAGE
    for pod_id in sorted(ALL):
        record = pod().evolve(pod_id=pod_id)
        for volume in record.state.layout:
            name = naming.volume_name(pod_id, volume.name)
            await engine.create_volume(name, volume_labels(record, volume, OWN))
        made = await engine.create_container(container_request(record, OWN, ImageShape()))
        await engine.start_container(made.id)
    return engine


def rebuild(engine: FakeEngine, store: FakeStore) -> Rebuild:
    owned: dict[str, Any] = {"host": "here", "engine": engine, "store": store, "installation": OWN}
    return Rebuild(**owned, claiming=Claiming(**owned))


def second_inspect(error: Exception) -> Callable[[str], None]:
    """Make the second inspect, that of `b`, fail each time."""
    inspects = [0]

    def fail(operation: str) -> None:
        inspects[0] += operation == "container_inspect"
        if operation == "container_inspect" and inspects[0] % len(ALL) == 2:
            raise error

    return fail


async def test_all_are_reported_as_they_are(engine: FakeEngine) -> None:
    store = FakeStore()
    await rebuild(engine, store).run()
    assert store.reported == {"here"}
    for pod_id in ALL:
        record = store.records[pod_id]
        assert (record.state.phase, record.state.starts) == (Phase.RUNNING, 1)
        assert record.state.layout == pod().state.layout
        assert record.intent.spec == pod().intent.spec
        assert record.state.rebuilt is None
    assert not store.leases


async def test_one_that_cannot_be_looked_at_is_due_again_and_the_others_are_known(engine: FakeEngine) -> None:
    """Until then no id may count as new, so the host has not reported yet."""
    store = FakeStore()
    engine.before = second_inspect(EngineUnavailableError("a 500"))
    work = rebuild(engine, store)
    with pytest.raises(EngineUnavailableError):
        await work.run()
    assert store.records.keys() == ALL - {"b"}
    assert not store.reported
    engine.before = lambda _operation: None
    await work.run()
    assert (set(store.records), store.reported) == (ALL, {"here"})


async def test_one_that_can_never_be_looked_at_is_left_out_in_the_end(engine: FakeEngine) -> None:
    """Otherwise the whole host would wait for it."""
    store = FakeStore()
    engine.before = second_inspect(EngineUnavailableError("a 500"))
    work = rebuild(engine, store)
    for _ in range(4):
        with pytest.raises(EngineUnavailableError):
            await work.run()
    await work.run()
    assert (set(store.records), store.reported) == (ALL - {"b"}, {"here"})


@pytest.mark.parametrize("error", [ObjectMissingError("gone since"), KeyError("a bug")])
async def test_one_that_is_gone_or_meets_a_bug_is_left_out_at_once(
    engine: FakeEngine, error: Exception
) -> None:
    store = FakeStore()
    engine.before = second_inspect(error)
    await rebuild(engine, store).run()
    assert (set(store.records), store.reported) == (ALL - {"b"}, {"here"})


async def test_the_store_s_own_failure_ends_it(engine: FakeEngine) -> None:
    store = FakeStore()

    def fail(operation: str) -> None:
        if operation == "accept":
            raise StoreUnavailableError("away")

    store.before = fail
    with pytest.raises(StoreUnavailableError):
        await rebuild(engine, store).run()
    assert not store.records
    assert not store.reported


async def test_a_record_that_was_half_written_is_completed(engine: FakeEngine) -> None:
    """The worker was killed after it accepted the intent; the next one writes the rest."""
    store = FakeStore()

    def fail(operation: str) -> None:
        if operation == "save":
            raise LeaseLostError("killed")

    store.before = fail
    with pytest.raises(LeaseLostError):
        await rebuild(engine, store).run()
    assert not store.records["a"].state.layout
    store.before = lambda _operation: None
    await rebuild(engine, store).run()
    assert all(store.records[pod_id].state.layout for pod_id in ALL)


async def test_what_was_written_since_stays(engine: FakeEngine) -> None:
    """A second attempt, because of another pod, overwrites nothing."""
    store = FakeStore()
    await rebuild(engine, store).run()
    store.reported.clear()
    changed = store.records["a"].evolve(state=store.records["a"].state.evolve(starts=7))
    store.records["a"] = changed
    await rebuild(engine, store).run()
    assert store.records["a"] == changed


async def test_nobody_acts_on_a_record_before_it_is_whole(engine: FakeEngine) -> None:
    """The lease is held from before the intent is accepted until the state is written."""
    store, held = FakeStore(), list[bool]()
    store.after = lambda operation: held.append("a" in store.leases) if operation == "accept" else None
    engine.containers = {
        name: each for name, each in engine.containers.items() if name == naming.container_name("a")
    }
    await rebuild(engine, store).run()
    assert held == [True]


async def test_of_two_of_one_pod_the_one_that_runs_is_reported_or_else_the_one_with_its_name(
    engine: FakeEngine,
) -> None:
    """Somebody renamed one, and an older worker made another; other people's containers do not count."""
    own = engine.containers["pinacle-pod-a"]
    table = [
        ({"second": ContainerState.EXITED}, ContainerState.RUNNING, own.observed.id),
        ({"second": ContainerState.RUNNING}, ContainerState.EXITED, "second"),
        (
            {"another": ContainerState.EXITED, "second": ContainerState.EXITED},
            ContainerState.EXITED,
            own.observed.id,
        ),
    ]
    for others, state, told in table:
        engine.containers["pinacle-pod-a"] = replace(own, observed=replace(own.observed, state=state))
        # Those that were made later come first in the Engine's list.
        shown = {
            name: replace(own, observed=replace(own.observed, id=name, name=name, state=of))
            for name, of in others.items()
        }
        foreign = {naming.LABEL_POD: "a", naming.LABEL_INSTALLATION: "another"}
        shown["foreign"] = replace(
            own, observed=replace(own.observed, id="foreign", name="foreign", labels=foreign)
        )
        present = engine.containers
        engine.containers = {**shown, **present}
        store = FakeStore()
        await rebuild(engine, store).run()
        engine.containers = present
        assert store.records["a"].state.container_id == told, others


async def test_the_log_names_volumes_that_the_container_does_not_mount(engine: FakeEngine) -> None:
    labels = {naming.LABEL_POD: "a", naming.LABEL_VOLUME: "declared.data"}
    await engine.create_volume("pinacle-vol-a-declared.data", labels)
    with structlog.testing.capture_logs() as logs:
        await rebuild(engine, FakeStore()).run()
    told = {each["pod_id"]: each["not_mounted"] for each in logs if each["event"] == "pod_rebuilt"}
    assert told == {"a": ["pinacle-vol-a-declared.data"], "b": [], "c": []}


async def test_a_pod_is_not_reported_by_its_second_container_if_the_first_gives_no_answer(
    engine: FakeEngine,
) -> None:
    """It would be known as ended, while it runs; it is due again instead."""
    own = engine.containers[naming.container_name("a")]
    ended = replace(own.observed, id="second", name="second", state=ContainerState.EXITED)
    engine.containers = {"second": replace(own, observed=ended), naming.container_name("a"): own}
    failures = [EngineUnavailableError("a 500")]

    def fail_once(operation: str) -> None:
        if operation == "container_inspect" and failures:
            raise failures.pop()

    engine.before = fail_once
    store = FakeStore()
    with pytest.raises(EngineUnavailableError):
        await rebuild(engine, store).run()
    assert not store.records
    await rebuild(engine, store).run()
    assert store.records["a"].state.container_id == own.observed.id
