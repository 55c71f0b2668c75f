"""A spec and a record that grow: later keys are kept, and a key is secret by its declaration."""

import json
from dataclasses import field, fields
from typing import Any

import pytest
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from worker.errors import InvalidInputError
from worker.pods.model import Intent, PinnedImage, PodState, System, Volume, newer_keys
from worker.pods.parsing import parse_spec
from worker.pods.spec import SECRET, SECRET_FIELDS, SPEC, PodSpec, public_spec, recreating_part, secret_fields
from worker.telemetry.redaction import redacted

IMAGE = {"reference": "image", "id": "sha256:1"}
VOLUME = {"name": "home", "path": "/home", "volume_class": "universal", "incarnation": "i", "filled": True}
LATER: dict[str, Any] = {"later": {"a": [1, None]}, "another": "text"}


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (PodState, {"phase": "running"}),
        (Intent, {"kind": "running", "generation": 3, "spec": None}),
        (Volume, VOLUME),
        (PinnedImage, IMAGE),
        (System, {"mode": "copy", "image": IMAGE, "directories": ["/usr"]}),
    ],
)
def test_what_a_newer_worker_noted_is_written_again(kind: type, plain: dict[str, Any]) -> None:
    """Even if this worker has changed the keys that it knows."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    read = adapter.validate_json(json.dumps({**plain, **LATER}))
    first = fields(kind)[0].name
    for written in (read, read.evolve(), read.evolve(**{first: getattr(read, first)}).evolve()):
        assert json.loads(adapter.dump_json(written)).items() >= LATER.items()
    assert read == adapter.validate_json(json.dumps(plain))


def test_what_is_nested_keeps_its_own() -> None:
    adapter = TypeAdapter(PodState)
    text = json.dumps({"layout": [{**VOLUME, "pool": "a"}], "image": {**IMAGE, "signed": True}, "more": 1})
    written = json.loads(adapter.dump_json(adapter.validate_json(text).evolve(starts=2)))
    assert (written["layout"][0]["pool"], written["image"]["signed"], written["more"]) == ("a", True, 1)
    assert written["starts"] == 2


def test_keys_of_a_newer_worker_are_found_wherever_they_are() -> None:
    """In the part itself, in one of its parts, and in a row of them."""
    plain = {"phase": "running", "image": IMAGE, "layout": [VOLUME]}
    for newer in (
        plain | LATER,
        plain | {"image": IMAGE | LATER},
        plain | {"layout": [VOLUME, VOLUME | LATER]},
        plain | {"another": 1, "image": IMAGE | {"later": 1}},
    ):
        assert newer_keys(TypeAdapter(PodState).validate_python(newer)) == LATER.keys()
    assert newer_keys(TypeAdapter(PodState).validate_python(plain)) == frozenset()


def test_what_is_secret_is_nowhere_to_be_read() -> None:
    """Whichever fields are declared secret."""
    assert "env" in SECRET_FIELDS
    assert not {each.name for each in fields(PodSpec) if each.repr} & SECRET_FIELDS
    spec = {"image": "image"} | {name: {"NAME": "canary"} for name in SECRET_FIELDS}
    assert "canary" not in repr(parse_spec(spec))
    assert not public_spec(parse_spec(spec)).keys() & SECRET_FIELDS
    assert "canary" not in repr(redacted(spec))
    for name in SECRET_FIELDS:
        with pytest.raises(InvalidInputError) as refused:
            parse_spec({"image": "image", name: {"NAME": ["canary"]}})
        assert "canary" not in str(refused.value)


def test_a_further_field_is_secret_once_it_is_declared_so() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Grown(PodSpec):
        token: str = field(default="", repr=False, metadata=SECRET)
        open_one: str = ""

    assert secret_fields(Grown) == {"env", "token"}


def test_labels_and_description_are_written_only_if_they_are_set() -> None:
    """So that older workers read all other specs; and they make no other container."""
    least = PodSpec(image="image")
    assert not json.loads(SPEC.dump_json(least)).keys() & {"labels", "description"}
    labelled = PodSpec(image="image", labels={"team": "a"}, description="mine")
    assert SPEC.validate_json(SPEC.dump_json(labelled)) == labelled
    assert public_spec(labelled)["labels"] == {"team": "a"}
    assert recreating_part(labelled) == recreating_part(least)
