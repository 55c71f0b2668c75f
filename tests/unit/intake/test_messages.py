"""Whatever is in a queue, the error says what is wrong with it and quotes nothing."""

import json
from base64 import b64encode
from typing import Any

import pytest

from config.queues import LARGEST_BODY
from tests.support.messages import CANARY, each_once, sound, spoiled
from worker.intake.messages import body_problem, head_problem, task_id
from worker.store.broker import Channel, Message


class Unconnected(Channel):
    """A channel that only decodes."""

    def __init__(self) -> None:
        """Connect to nothing."""

    def __del__(self) -> None:
        """Nothing is open."""


def problem(text: str) -> str | None:
    """Return what a worker says about what was in its queue, None if it passes that on to Celery."""
    raw: Any = Message(json.loads(text), channel=Unconnected())
    if raw.errors:
        return str(raw.errors[0][1])
    return head_problem(raw.headers, raw.properties, raw.content_type, raw.content_encoding) or body_problem(
        raw.body
    )


def test_what_celery_and_the_examples_send_goes_on() -> None:
    assert problem(json.dumps(sound())) is None
    bare = sound()
    bare["headers"] = {
        key: bare["headers"][key] for key in ("lang", "task", "id", "root_id", "parent_id", "group")
    }
    assert problem(json.dumps(bare)) is None
    more = sound()
    more["headers"] |= {"timelimit": [5, None], "eta": "2030-01-01T00:00:00+00:00", "stamped_headers": ["a"]}
    assert problem(json.dumps(more)) is None


@pytest.mark.parametrize("task", ["map", "starmap", "chunks", "group", "chain", "chord", "backend_cleanup"])
def test_no_task_of_celery_s_own_is_taken(task: str) -> None:
    """Tasks that run inside another one have no id of their own: a request would count as seen before."""
    message = sound()
    message["headers"]["task"] = f"celery.{task}"
    assert f"'celery.{task}' is one of Celery's own" in (problem(json.dumps(message)) or "")


@pytest.mark.parametrize("task", ["chord_unlock", "accumulate"])
def test_what_celery_sends_for_chords_of_groups_is_taken(task: str) -> None:
    message = sound()
    message["headers"]["task"] = f"celery.{task}"
    assert problem(json.dumps(message)) is None


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("headers", "task", {}, "headers.task: an object"),
        ("headers", "id", ["x"], "headers.id: a list"),
        ("headers", "id", "\ud800", "headers.id: a string"),
        ("headers", "timelimit", "x", "headers.timelimit: a string"),
        ("headers", "retries", "x", "headers.retries: a string"),
        ("headers", "shadow", ["x"], "headers.shadow: a list"),
        ("headers", "stamps", "x", "headers.stamps: a string"),
        ("headers", "stamped_headers", 5, "headers.stamped_headers: a number"),
        ("headers", "compression", "application/x-gzip", "headers.compression: not supported"),
        ("properties", "reply_to", {}, "properties.reply_to: an object"),
        ("properties", "delivery_info", "x", "delivery_info"),
        ("properties", "body_encoding", "rot13", "body_encoding"),
    ],
)
def test_what_ended_workers_is_named(part: str, name: str, value: Any, said: str) -> None:
    message = sound()
    message[part] |= {name: value}
    assert said in str(problem(json.dumps(message)))


@pytest.mark.parametrize(
    "body", ["[[], {}]", "null", "5", "[5, {}, {}]", "[[], [], {}]", "[[], {}, 5]", "[" * 100_000, "{"]
)
def test_a_body_is_three_parts(body: str) -> None:
    assert "allowed: " in str(body_problem(body))
    assert "allowed: " in str(body_problem(body.encode()))


def test_a_body_has_a_largest_size() -> None:
    filler = "x" * (LARGEST_BODY - 20)
    assert body_problem(json.dumps([[filler], {}, None])) is None
    assert f"allowed: {LARGEST_BODY}" in str(body_problem(json.dumps([[filler * 2], {}, None])))


@pytest.mark.parametrize("is_encoded", [True, False])
def test_a_body_that_is_too_long_is_dropped_before_it_is_copied(
    is_encoded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is kept: under that, its sender learns what was wrong."""
    largest, too_long = (json.dumps([["x" * size], {}, None]) for size in (LARGEST_BODY - 20, LARGEST_BODY))
    message = sound()
    if not is_encoded:
        del message["properties"]["body_encoding"]
    message["body"] = b64encode(largest.encode()).decode() if is_encoded else largest
    assert problem(json.dumps(message)) is None
    message["body"] = b64encode(too_long.encode()).decode() if is_encoded else too_long
    monkeypatch.delattr("worker.store.broker.b64decode")
    raw: Any = Message(message, channel=Unconnected())
    assert f"allowed: {LARGEST_BODY}" in str(raw.errors[0][1])
    assert (raw.body, raw.headers) == (b"", {"id": message["headers"]["id"]})


def test_no_form_of_message_is_too_odd_to_be_judged() -> None:
    """A thousand random ones, and each part with each odd value; no error quotes the body."""
    refused = 0
    for text in [*each_once(), *map(spoiled, range(1000))]:
        try:
            json.loads(text)
        except ValueError:
            continue
        said = problem(text)
        assert said is None or CANARY not in said, text
        refused += said is not None
    assert refused > 1000


def test_an_id_that_is_no_word_is_none() -> None:
    assert task_id({"id": "a b"}) is None
