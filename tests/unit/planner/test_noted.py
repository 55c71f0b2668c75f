"""Which containers a record notes as the pod's: a later pass relies on that if names say nothing."""

from dataclasses import replace
from typing import Final

import pytest

from tests.support.situations import (
    CONTAINER_ID,
    NOW,
    OTHER_IMAGE,
    OWN,
    SECOND,
    SYSTEM,
    View,
    asked_again,
    exited,
    pod,
    renamed,
    running,
    sees,
    tombstone,
)
from worker.planner.ended import plan_note
from worker.planner.identity import noted
from worker.planner.plan import plan
from worker.planner.steps import RecordExit
from worker.pods.model import SentStop

BEFORE: Final = "b" * 64
"""What was noted until now."""


@pytest.mark.parametrize(
    ("view", "own", "seconds"),
    [
        pytest.param(sees(running()), CONTAINER_ID, (), id="its own is noted"),
        pytest.param(sees(), BEFORE, (), id="none is there: the last one stays noted"),
        pytest.param(sees(running(labels={})), BEFORE, (), id="what is there is somebody else's"),
        pytest.param(
            sees(running(), others=[renamed(exited(), second=True)]),
            CONTAINER_ID,
            (SECOND,),
            id="a second one is noted beside it",
        ),
    ],
)
def test_what_is_noted_of_a_pods_containers(view: View, own: str, seconds: tuple[str, ...]) -> None:
    record = pod(container_id=BEFORE)
    state = noted(record, view(record), OWN).state
    assert (state.container_id, state.seconds) == (own, seconds)


def test_of_a_deleted_pod_nothing_is_noted() -> None:
    record = tombstone()
    assert noted(record, sees(running())(record), OWN) == record


def test_a_pod_that_was_given_up_stays_so_beside_a_second_container() -> None:
    """Otherwise it is tried again in each pass."""
    record = asked_again(
        system=SYSTEM.evolve(directories=("/usr", "/bin")),
        spec={"image": "image-2"},
        intent={"image": OTHER_IMAGE},
    )
    alone = sees(running(), links={"/bin": "/usr/bin"})(record)
    decided = plan(record, alone, NOW, OWN)
    assert decided.given_up is not None
    beside = replace(alone, others=(renamed(exited(), second=True)(record),))
    assert plan(record, beside, NOW, OWN) == decided


def test_the_end_of_a_container_is_ours_only_if_the_stop_was_sent_to_that_one() -> None:
    """Not if it was sent to the one that the record names, and another one of the pod ended."""
    record = pod(container_id=BEFORE, stop=SentStop(container_id=BEFORE, run=1, sent_at=NOW, timeout_s=1))
    spec = record.intent.spec
    assert spec is not None
    unexpected = plan_note(record, sees(exited())(record), spec, OWN)
    assert unexpected is not None
    assert unexpected.steps == (RecordExit(CONTAINER_ID),)
    ours = record.evolve(state=record.state.evolve(container_id=CONTAINER_ID))
    sent = SentStop(container_id=CONTAINER_ID, run=1, sent_at=NOW, timeout_s=1)
    stopped = ours.evolve(state=ours.state.evolve(stop=sent))
    assert plan_note(stopped, sees(exited())(stopped), spec, OWN) is None
