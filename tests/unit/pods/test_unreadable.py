"""What may be requested of a pod whose record cannot be read, and what is done."""

import json
from dataclasses import replace
from typing import Final

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import OWN, pod
from worker.errors import RecordUnreadableError
from worker.planner.host.unused_bases import unused_bases
from worker.pods.model import Phase, Unreadable
from worker.pods.naming import base_labels
from worker.pods.observation import ObservedVolume, Snapshot
from worker.pods.requests import Create, Delete, Request, Restart, Start, Stop, Update, check
from worker.pods.spec import PodSpec
from worker.reconcile.reconciler import Reconciler

SPEC: Final = PodSpec(image="image")
NOBODY: Final = Unreadable(reason="state.layout: no", only_spec=False)
A_SPEC: Final = Unreadable(reason="intent.spec.tier: no", only_spec=True)
MAKING: Final = (Create(spec=SPEC), Start(), Stop(), Restart())


@pytest.mark.parametrize(
    ("asked", "unreadable"),
    [*((each, why) for each in MAKING for why in (NOBODY, A_SPEC)), (Update(spec=SPEC), NOBODY)],
)
def test_nothing_is_made_of_an_intent_that_is_not_known(asked: Request, unreadable: Unreadable) -> None:
    with pytest.raises(RecordUnreadableError, match=unreadable.reason):
        check("a", replace(pod(), unreadable=unreadable), asked)


@pytest.mark.parametrize("asked", [Delete(), Update(spec=SPEC)])
def test_a_deletion_and_a_whole_new_spec_are_accepted(asked: Request) -> None:
    check("a", replace(pod(), unreadable=A_SPEC), asked)
    check("a", replace(pod(), unreadable=NOBODY), Delete())


def reconciler(engine: FakeEngine, store: FakeStore) -> Reconciler:
    return Reconciler(
        engine=engine,
        store=store,
        installation=OWN,
        clock=lambda: 0.0,
        step_deadline_s=1.0,
    )


async def test_a_reconcile_leaves_engine_and_record_alone() -> None:
    engine, store = FakeEngine(), FakeStore()
    store.records["a"] = pod()
    store.spoiled["a"] = {"state": "{"}
    outcome = await reconciler(engine, store).reconcile("a")
    assert (outcome.record.state.phase, outcome.steps, outcome.retry_at) == (Phase.FAILED, (), None)
    assert outcome.before == outcome.record.state
    assert not engine.calls
    assert store.records["a"] == pod()
    assert store.spoiled["a"] == {"state": "{"}


async def test_an_intent_that_comes_while_the_pod_is_worked_on_and_cannot_be_read_ends_the_work() -> None:
    """What stands in for it is nobody's intent."""
    engine, store = FakeEngine(), FakeStore()
    store.records["a"] = pod()

    def spoil(operation: str) -> None:
        if operation == "volume_list":
            intent = {"kind": "stopped", "generation": 2, "spec": {"image": 1}}
            store.spoiled["a"] = {"intent": json.dumps(intent), "generation": "2"}

    engine.before = spoil
    outcome = await reconciler(engine, store).reconcile("a")
    assert "intent.spec.image" in str(outcome.error)
    assert outcome.record.intent == pod().intent


def test_no_base_goes_while_a_record_does_not_say_on_which_it_stands() -> None:
    base = ObservedVolume(name="base-usr", labels=base_labels("test", "sha256:1", "base"))
    seen = Snapshot.of((), [base])
    assert unused_bases([pod()], seen, "test")
    assert not unused_bases([replace(pod(), unreadable=NOBODY)], seen, "test")
