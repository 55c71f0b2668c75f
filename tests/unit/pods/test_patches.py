"""What an update changes in a spec, and what it leaves alone."""

from dataclasses import fields
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.situations import tombstone
from worker.errors import InvalidInputError, LostUpdateError, PodNotFoundError, RecordUnreadableError
from worker.pods.model import Intent, IntentKind, Record, Unreadable
from worker.pods.parsing import parse_generation, parse_patch, parse_spec
from worker.pods.requests import Change, Resolved, Start, Update, intent_for, settled
from worker.pods.spec import PodSpec

WHOLE: Final[dict[str, Any]] = {
    "image": "debian:12-slim",
    "command": ["sleep", "9"],
    "env": {"A": "a", "B": "b"},
    "working_dir": "/srv",
    "user": "www-data",
    "hostname": "one",
    "ports": [{"container": 80, "host": 8080}],
    "tier": "dev.medium",
    "runtime": "runc",
    "restart": "never",
    "init": False,
    "stop_timeout_s": 3,
}


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({}, {}),
        ({"tier": "dev.large"}, {"tier": "dev.large"}),
        ({"image": "debian:13"}, {"image": "debian:13"}),
        ({"env": {"B": "new", "C": "c"}}, {"env": {"A": "a", "B": "new", "C": "c"}}),
        ({"env": {"A": None}}, {"env": {"B": "b"}}),
        ({"env": {"A": None, "nobody": None, "B": ""}}, {"env": {"B": ""}}),
        ({"env": {}}, {}),
        ({"env": None}, {"env": {}}),
        ({"ports": [{"container": 81}]}, {"ports": [{"container": 81}]}),
        ({"ports": []}, {"ports": []}),
        ({"command": ["true"]}, {"command": ["true"]}),
        ({"command": None, "hostname": None}, {"command": None, "hostname": None}),
        ({"tier": None, "restart": None}, {"tier": "dev.small", "restart": "always"}),
        ({"ports": None, "stop_timeout_s": None}, {"ports": [], "stop_timeout_s": 10}),
    ],
    ids=str,
)
def test_what_is_given_changes_and_the_rest_stays(patch: dict[str, Any], after: dict[str, Any]) -> None:
    wanted = {key: value for key, value in (WHOLE | after).items() if value is not None}
    assert parse_patch(patch).of(parse_spec(WHOLE)) == parse_spec(wanted)


@pytest.mark.parametrize("key", [each.name for each in fields(PodSpec) if each.name != "image"])
def test_null_gives_each_key_what_it_is_without_being_named(key: str) -> None:
    without = {name: value for name, value in WHOLE.items() if name != key}
    assert parse_patch({key: None}).of(parse_spec(WHOLE)) == parse_spec(without)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        (None, "spec: is null; allowed: an object with the keys to change"),
        ("tier", "spec: is a string"),
        ({"image": None}, "spec.image: null is not allowed"),
        ({"tiers": "dev.large"}, "spec.tiers: is not a key of the spec; did you mean 'tier'?"),
        ({"tiers": None}, "spec.tiers: is not a key of the spec; did you mean 'tier'?"),
        ({"image": "not an image"}, "spec.image: a string of 12 characters is not an image reference"),
        ({"env": {"A": 1}}, "spec.env.A: is not allowed"),
        ({"env": []}, "spec.env: is not allowed"),
        ({"ports": [{"host": 80}]}, "spec.ports[0].container: is missing"),
    ],
    ids=str,
)
def test_a_patch_that_says_nothing_right_is_refused(patch: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_patch(patch)
    assert str(caught.value).startswith(words)


def test_what_a_patch_does_not_name_is_not_judged() -> None:
    """A pod keeps a tier that is in the table no longer, and an image of a form not taken any more."""
    before = PodSpec(image="odd image", tier="dev.gone")
    assert parse_patch({"hostname": "two"}).of(before) == PodSpec(
        image="odd image", tier="dev.gone", hostname="two"
    )


PATCHES: Final = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["a:1", "b:2"]),
        "hostname": st.sampled_from([None, "x", "y"]),
        "tier": st.sampled_from([None, "dev.small", "dev.large"]),
        "env": st.none() | st.dictionaries(st.sampled_from("ABC"), st.sampled_from([None, "1", "2"])),
        "ports": st.sampled_from([None, [], [{"container": 1}]]),
    },
)


@given(first=PATCHES, second=PATCHES)
def test_two_patches_that_name_different_things_can_come_in_any_order(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    before = parse_spec(WHOLE)
    other = {key: value for key, value in second.items() if key not in first}
    one_way = parse_patch(other).of(parse_patch(first).of(before))
    assert one_way == parse_patch(first).of(parse_patch(other).of(before))
    assert one_way == parse_patch(first | other).of(before)


@given(patch=PATCHES)
def test_a_patch_done_twice_is_done_once(patch: dict[str, Any]) -> None:
    once = parse_patch(patch).of(parse_spec(WHOLE))
    assert parse_patch(patch).of(once) == once


def pod(**intent: Any) -> Record:
    known = Intent(kind=IntentKind.RUNNING, generation=1, spec=parse_spec(WHOLE)).evolve(**intent)
    return Record(pod_id="a", host="here", intent=known)


def test_a_change_is_made_to_what_is_recorded() -> None:
    asked = Change(to=parse_patch({"tier": "dev.large"}), discard=("/app",))
    wanted = Update(spec=parse_spec(WHOLE | {"tier": "dev.large"}), discard=("/app",))
    assert settled("a", pod(), asked) == wanted


def test_a_whole_spec_takes_the_place_of_what_is_recorded() -> None:
    assert settled("a", pod(), Change(to=PodSpec(image="b"))) == Update(spec=PodSpec(image="b"))
    asked = Change(to=PodSpec(image="b"), discard=("/app",))
    assert settled("a", pod(), asked) == Update(spec=PodSpec(image="b"), discard=("/app",))


def test_what_is_no_change_is_left_alone() -> None:
    assert settled("a", None, Start()) == Start()


@pytest.mark.parametrize("to", [PodSpec(image="b"), parse_patch({"tier": "dev.large"})])
@pytest.mark.parametrize("seen", [3, 5])
def test_a_change_of_what_is_there_no_longer_is_refused(to: Any, seen: int) -> None:
    with pytest.raises(LostUpdateError, match=f"is at 4, not at {seen}"):
        settled("a", pod(generation=4), Change(to=to, expected_generation=seen))
    assert isinstance(settled("a", pod(generation=4), Change(to=to, expected_generation=4)), Update)


def test_a_pod_that_is_not_there_cannot_be_changed() -> None:
    change = Change(to=parse_patch({}), expected_generation=1)
    with pytest.raises(PodNotFoundError, match="'a' does not exist"):
        settled("a", None, change)
    with pytest.raises(PodNotFoundError, match="'a' was deleted"):
        settled("a", tombstone(), change)


def test_a_spec_that_cannot_be_read_is_replaced_and_never_patched() -> None:
    """What it says about the keys that are not given is not known."""
    spoiled = pod(spec=None).evolve(unreadable=Unreadable(reason="spec.tier: is a number", only_spec=True))
    with pytest.raises(RecordUnreadableError, match="is a number"):
        settled("a", spoiled, Change(to=parse_patch({"tier": "dev.large"})))
    assert isinstance(settled("a", spoiled, Change(to=PodSpec(image="b"))), Update)
    with pytest.raises(RecordUnreadableError, match="no spec"):
        settled("a", pod(spec=None), Change(to=parse_patch({})))


def test_the_answer_names_what_changed_and_only_once() -> None:
    before = pod(generation=4)
    change = settled("a", before, Change(to=parse_patch({"tier": "dev.large", "env": {"A": None}})))
    intent = intent_for(before, change, Resolved())
    assert (intent.changed, intent.changed_generation) == (("env", "tier"), 5)
    after = before.evolve(intent=intent)
    again = intent_for(after, settled("a", after, Change(to=parse_patch({"tier": "dev.large"}))), Resolved())
    assert (again.changed, again.changed_generation) == ((), 6)


def test_what_was_not_certain_stays_so_until_it_is_named() -> None:
    before = pod(unsure=("restart", "tier"))
    change = settled("a", before, Change(to=parse_patch({"tier": None})))
    assert intent_for(before, change, Resolved()).unsure == ("restart",)
    variables = pod(unsure=("env",))
    for env, unsure in (({"A": "1"}, ("env",)), ({"A": None}, ("env",)), (None, ())):
        change = settled("a", variables, Change(to=parse_patch({"env": env})))
        assert intent_for(variables, change, Resolved()).unsure == unsure, "others may be there"
    whole = settled("a", before, Change(to=parse_spec(WHOLE)))
    assert intent_for(before, whole, Resolved()).unsure == ()


@pytest.mark.parametrize("value", [None, 1, 10**9])
def test_a_generation_is_a_number_from_one(value: int | None) -> None:
    assert parse_generation(value) == value


@pytest.mark.parametrize("value", [0, -1, True, "1", 1.0, []])
def test_anything_else_is_no_generation(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"expected_generation: .* is not allowed"):
        parse_generation(value)
