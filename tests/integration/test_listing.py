"""Pods are found by what they are, in pages, by a worker on a real Redis."""

from typing import Any, Final

import pytest

from worker.local.client import Client

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
LABELS: Final[dict[str, dict[str, str]]] = {
    "one": {"tenant": "a", "project": "shop"},
    "two": {"tenant": "a"},
    "three": {"tenant": "b"},
}


def found(client: Client, **given: Any) -> list[str]:
    return [pod["pod_id"] for pod in client.call("list", queue="questions", **given)["pods"]]


def test_labelled_pods_are_found(client: Client) -> None:
    """Also by labels that a running pod got later: its container stays."""
    for pod_id, labels in LABELS.items():
        made = client.call("create", pod_id, {**SPEC, "labels": labels, "description": f"number {pod_id}"})
        assert (made["phase"], made["labels"]) == ("running", labels)
    client.call("stop", "two")
    assert found(client) == ["one", "three", "two"]
    assert found(client, labels={"tenant": "a"}) == ["one", "two"]
    assert found(client, labels={"tenant": "a"}, phase="running") == ["one"]
    assert found(client, labels={"project": None}) == ["one"]
    assert found(client, phase=["stopped", "failed"]) == ["two"]
    assert found(client, host="nowhere") == []

    before = client.call("get", "three")
    after = client.call("update", "three", {"labels": {"tenant": "c"}, "description": None})
    assert (after["changed"], after["description"]) == (["labels", "description"], None)
    assert (after["container_id"], after["restarts"]) == (before["container_id"], before["restarts"])
    assert found(client, labels={"tenant": "b"}) == []
    assert found(client, labels={"tenant": "c"}) == ["three"]

    page = client.call("list", limit=2, fields=["phase", "labels"])
    assert page["next"] == "three"
    assert page["pods"][0] == {"pod_id": "one", "phase": "running", "labels": LABELS["one"]}
    last = client.call("list", after=page["next"], limit=2)
    assert ([pod["pod_id"] for pod in last["pods"]], last["next"]) == (["two"], None)
    in_place = (True, {"tenant": "a"}, None, None, ["phase"], "one", 1)
    assert client.call("list", *in_place).keys() == {"pods", "next", "orphans"}
    assert "limit: 0 is not allowed" in client.error("list", limit=0)
    for pod_id in LABELS:
        assert client.call("delete", pod_id)["phase"] == "deleted"
    assert found(client, limit=5) == []
