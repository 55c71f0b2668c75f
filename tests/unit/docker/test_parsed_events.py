"""What a line of the Engine's event stream says about a pod; useless lines are skipped."""

import json
from typing import Any, Final

import pytest

from worker.docker.events import _parsed
from worker.interfaces import ContainerEvent, ContenderEvent
from worker.pods import naming
from worker.pods.naming import LABEL_POD


def line(action: str = "die", *, name: str = "pinacle-pod-a", pod: str | None = "a") -> bytes:
    attributes = {"name": name} | ({} if pod is None else {LABEL_POD: pod})
    entry: dict[str, Any] = {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": "c1", "Attributes": attributes},
    }
    return json.dumps(entry).encode()


def test_another_store_that_asks_is_known_by_labels_and_name() -> None:
    labels = {naming.LABEL_INSTALLATION: "test", naming.LABEL_CONTENDER: "s"}
    named = {**labels, "name": naming.contender_name("test", "s")}

    def created(attributes: dict[str, str]) -> bytes:
        return json.dumps({"Action": "create", "Actor": {"ID": "c1", "Attributes": attributes}}).encode()

    assert _parsed(created(named)) == ContenderEvent(store="s", container_id="c1")
    assert _parsed(created({**named, "name": "other"})) is None
    assert _parsed(created({"name": "x"})) is None
    assert _parsed(line("create")) is None, "a pod's creation is ours"


def test_a_container_is_known_by_its_label_whatever_its_name() -> None:
    assert _parsed(line()) == ContainerEvent(pod_id="a", container_id="c1", action="die")
    assert _parsed(line(name="other")) == ContainerEvent(pod_id="a", container_id="c1", action="die")
    assert _parsed(line(pod=None)) is None


def test_a_renaming_is_reported_unless_it_gave_the_right_name() -> None:
    """That is how a wrong one is fixed."""
    assert _parsed(line("rename", name="other")) == ContainerEvent(
        pod_id="a", container_id="c1", action="rename"
    )
    assert _parsed(line("rename")) is None


USELESS: Final = {
    "no JSON": b"<html>502</html>",
    "no text": b"\xff\xfe",
    "half a line": line()[:40],
    "a list": b"[]",
    "nothing of an actor": b'{"Action": "die"}',
    "an actor without attributes": b'{"Action": "die", "Actor": {"ID": "c1", "Attributes": null}}',
    "an actor that is none": b'{"Action": "die", "Actor": 1}',
    "deeper than Python reads": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("name", USELESS)
def test_what_is_no_event_is_passed_over(name: str) -> None:
    assert _parsed(USELESS[name]) is None
