"""What may be requested of a pod, and the intent that follows: a table of requests."""

from typing import Any, Final

import pytest

from tests.support.situations import IMAGE, OTHER_IMAGE, asked_again, new_pod, pod, stopping_pod, tombstone
from worker.errors import PodExistsError, PodNotFoundError
from worker.pods.model import IntentKind, PublishedPort, Record
from worker.pods.requests import (
    Create,
    Delete,
    Request,
    Resolved,
    Restart,
    Start,
    Stop,
    Update,
    brings_spec,
    check,
    created,
    intent_for,
    is_made,
    replaces,
)
from worker.pods.spec import PodSpec

SAME: Final = PodSpec(image="image")
OTHER: Final = PodSpec(image="image-2")
PORT: Final = PublishedPort(container=80, host=8080, protocol="tcp", address="127.0.0.1")
MEANS: Final = Resolved(image=OTHER_IMAGE, ports=(PORT,))
RUNNING, STOPPED, DELETED = IntentKind.RUNNING, IntentKind.STOPPED, IntentKind.DELETED
FORCED: Final = asked_again(intent={"force": True, "ports": (PORT,), "image": IMAGE})


@pytest.mark.parametrize(
    ("record", "request_"),
    [
        *((record, Create(spec=SAME)) for record in (None, tombstone(), pod(), stopping_pod(), new_pod())),
        *((record, Create(spec=OTHER)) for record in (None, tombstone(), new_pod())),
        *((record, Delete()) for record in (None, tombstone(), pod())),
        *((pod(), request) for request in (Start(), Stop(), Restart(), Update(spec=OTHER))),
    ],
)
def test_what_may_be_asked(record: Record | None, request_: Request) -> None:
    check("a", record, request_)


@pytest.mark.parametrize("request_", [Start(), Stop(), Restart(), Update(spec=SAME)], ids=repr)
@pytest.mark.parametrize(("record", "words"), [(None, "does not exist"), (tombstone(), "was deleted")])
def test_what_needs_a_pod(record: Record | None, words: str, request_: Request) -> None:
    with pytest.raises(PodNotFoundError, match=f"pod 'a' {words}; allowed: an existing pod"):
        check("a", record, request_)


@pytest.mark.parametrize("made", [{}, {"container_id": None}, {"layout": ()}], ids=["whole", "lost", "old"])
def test_a_pod_that_is_made_is_not_created_with_another_spec(made: dict[str, Any]) -> None:
    """Even if its container is missing or its volumes are not recorded."""
    record = pod(**made)
    assert is_made(record)
    with pytest.raises(PodExistsError, match=r"exists with another spec.*pods\.update\('a'"):
        check("a", record, Create(spec=OTHER))


def test_a_pod_of_which_nothing_is_made_may_get_another_spec() -> None:
    assert not is_made(new_pod())


@pytest.mark.parametrize(
    ("record", "request_", "new"),
    [
        (None, Create(spec=SAME), SAME),
        (pod(), Create(spec=SAME), None),
        (pod(), Update(spec=SAME), None),
        (pod(), Update(spec=OTHER), OTHER),
        (tombstone(), Create(spec=SAME), SAME),
        (pod(), Start(), None),
        (None, Delete(), None),
    ],
)
def test_a_spec_is_examined_only_if_it_is_new(
    record: Record | None, request_: Request, new: PodSpec | None
) -> None:
    """For that, images are looked up and ports chosen; other requests cost nothing."""
    assert brings_spec(record, request_) == new


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Update(spec=OTHER), True),
        (Update(spec=SAME), False),
        (Update(spec=SAME, discard=("/app",)), True),
        (Restart(recreate=True), True),
        (Restart(force=True), False),
        (Create(spec=SAME), False),
        (Stop(), False),
    ],
)
def test_a_container_is_examined_if_it_may_be_replaced(request_: Request, *, expected: bool) -> None:
    assert replaces(pod(), request_) is expected


FULL: Final = stopping_pod(intent={"reason": "full"})
"""A pod that the worker itself has stopped."""


@pytest.mark.parametrize(
    ("record", "request_", "expected"),
    [
        (None, Create(spec=SAME), {"kind": RUNNING, "spec": SAME, "generation": 1}),
        (None, Create(spec=SAME, adopt=True), {"kind": RUNNING, "adopt": True}),
        (stopping_pod(), Create(spec=SAME), {"kind": RUNNING, "spec": SAME, "ports": (), "generation": 3}),
        (pod(), Create(spec=SAME, adopt=True), {"adopt": True, "spec": SAME, "ports": ()}),
        (tombstone(), Create(spec=SAME), {"kind": RUNNING, "image": OTHER_IMAGE, "ports": (PORT,)}),
        (tombstone(), Create(spec=SAME), {"purge_generation": 2}),
        (stopping_pod(), Start(), {"kind": RUNNING, "spec": SAME, "generation": 3}),
        (pod(), Stop(), {"kind": STOPPED, "spec": SAME, "generation": 2}),
        (pod(), Stop(reason="full"), {"kind": STOPPED, "reason": "full"}),
        (FULL, Update(spec=OTHER), {"kind": STOPPED, "reason": "full"}),
        *(
            (FULL, request, {"reason": None})
            for request in (Start(), Stop(), Restart(), Create(spec=SAME), Delete())
        ),
        (stopping_pod(), Restart(), {"kind": RUNNING, "force": False}),
        (pod(), Restart(force=True), {"kind": RUNNING, "force": True}),
        (pod(), Restart(recreate=True), {"kind": RUNNING, "force": False, "recreate_generation": 2}),
        (pod(intent={"recreate_generation": 1}), Restart(), {"recreate_generation": 1}),
        (FORCED, Start(), {"force": False, "ports": (PORT,), "image": IMAGE}),
        (FORCED, Update(spec=SAME), {"force": False, "ports": (PORT,), "image": IMAGE, "spec": SAME}),
        (pod(), Update(spec=OTHER), {"kind": RUNNING, "spec": OTHER, "image": OTHER_IMAGE, "ports": (PORT,)}),
        (stopping_pod(), Update(spec=OTHER), {"kind": STOPPED, "spec": OTHER}),
        (pod(), Delete(), {"kind": DELETED, "generation": 2, "purge_generation": 2}),
        (FORCED, Delete(), {"ports": (PORT,), "force": False}),
        (None, Delete(), {"kind": DELETED, "generation": 1, "purge_generation": 1, "spec": None}),
    ],
)
def test_the_intent_that_follows(record: Record | None, request_: Request, expected: dict[str, Any]) -> None:
    intent = intent_for(record, request_, MEANS)
    assert {name: getattr(intent, name) for name in expected} == expected


UNKNOWN: Final = tombstone(intent={"unknown": True})


@pytest.mark.parametrize(
    ("record", "unknown"),
    [(None, True), (UNKNOWN, True), (tombstone(), False), (pod(), False)],
    ids=["no record", "only asked to go before", "deleted", "there"],
)
def test_a_deletion_says_whether_there_ever_was_such_a_pod(record: Record | None, unknown: bool) -> None:
    assert intent_for(record, Delete(), MEANS).unknown is unknown


def test_a_pod_that_is_made_after_all_is_known() -> None:
    for request in (Create(spec=SAME), Start()):
        assert not intent_for(UNKNOWN, request, MEANS).unknown


def test_what_is_given_up_is_given_up_by_this_update() -> None:
    given_up = intent_for(pod(), Update(spec=OTHER, discard=("/data",)), MEANS)
    assert (given_up.discard, given_up.discard_generation) == (("/data",), 2)
    before = pod(intent={"discard": ("/data",), "discard_generation": 1})
    kept = intent_for(before, Update(spec=OTHER), MEANS)
    assert (kept.discard, kept.discard_generation) == ((), 0)


def test_an_image_that_is_gone_is_replaced_by_the_one_that_was_found() -> None:
    """With the same spec only if there is an image to replace it."""
    found = Resolved(image=OTHER_IMAGE, replaced_image=IMAGE.id, ports=(PORT,))
    for spec in (SAME, OTHER):
        intent = intent_for(pod(), Update(spec=spec), found)
        assert (intent.image, intent.replaced_image) == (OTHER_IMAGE, IMAGE.id)
    same = intent_for(pod(intent={"image": IMAGE}), Update(spec=SAME), MEANS)
    assert (same.image, same.replaced_image) == (IMAGE, None)


def test_a_pod_whose_spec_was_lost_is_not_created_with_any() -> None:
    with pytest.raises(PodExistsError):
        check("a", pod(intent={"spec": None}), Create(spec=SAME))


@pytest.mark.parametrize(
    "request_", [Start(), Stop(), Restart(), Update(spec=OTHER), Create(spec=SAME), Delete()]
)
def test_what_is_asked_of_a_pod_leaves_the_time_of_its_creation(request_: Request) -> None:
    for known in (None, "then"):
        before = pod(intent={"created_at": known})
        assert created(intent_for(before, request_, MEANS), before, "now").created_at == known


@pytest.mark.parametrize("before", [None, tombstone(intent={"created_at": "then"}), UNKNOWN])
def test_a_pod_that_is_made_is_created_now(before: Record | None) -> None:
    """Also after a deletion: what is made under the same id is another pod."""
    assert created(intent_for(before, Create(spec=SAME), MEANS), before, "now").created_at == "now"
