"""The schemas and types that are published are what the code has, and what it answers."""

from typing import Any

import pytest

from tests.support.schemas import mistakes
from tests.support.situations import pod
from worker.local.published.schema import generated
from worker.local.published.typescript import declarations
from worker.pods.results import pod_result


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.name)
def test_what_is_published_is_what_the_code_has(path: Any) -> None:
    assert path.read_text() == generated()[path], "`make schema` writes it again"


def test_a_pods_answer_is_as_its_schema_says() -> None:
    assert mistakes(pod_result(pod()), "Pod") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phase": "broken"}, "Pod.phase is none of"),
        ({"restarts": True}, "Pod.restarts is no integer"),
        ({"ports": [{}]}, "Pod.ports[0] has no container"),
        ({"newer": 1}, "Pod.newer is in no schema"),
    ],
)
def test_an_answer_that_is_otherwise_is_noticed(change: dict[str, Any], said: str) -> None:
    assert mistakes(pod_result(pod()) | change, "Pod")[0].startswith(said)


def test_an_answer_without_a_key_is_noticed() -> None:
    answer = pod_result(pod())
    del answer["phase"]
    assert mistakes(answer, "Pod") == ["Pod has no phase"]


def test_types_of_each_form() -> None:
    schema = {
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}},
            "b": {"enum": ["x", "y"]},
            "c": {"type": "object", "additionalProperties": {"type": "integer"}},
            "d": {},
        },
    }
    text = declarations({"A": schema})
    for line in ("a: Array<B | null>;", 'b?: "x" | "y";', "c?: Record<string, number>;", "d?: unknown;"):
        assert f"  {line}\n" in text
