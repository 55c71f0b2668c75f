"""One command for several pods: named, chosen by labels, or all."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.commands import Pinacle
from worker.local.client import Client

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
LABELS: Final[dict[str, dict[str, str]]] = {"a": {"team": "x"}, "b": {"team": "x"}, "c": {}}


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    return Pinacle(settings)


@pytest.fixture(autouse=True)
def pods(client: Client) -> Iterator[None]:
    for sent in [client.send("create", pod_id, {**SPEC, "labels": LABELS[pod_id]}) for pod_id in LABELS]:
        assert client.receive(sent)["phase"] == "running"
    yield
    for sent in [client.send("delete", pod_id) for pod_id in LABELS]:
        client.receive(sent)


def phases(client: Client) -> dict[str, str]:
    return {pod["pod_id"]: pod["phase"] for pod in client.call("list")["pods"]}


def test_named_ones(pinacle: Pinacle, client: Client) -> None:
    """Each once; one that does not exist is told, and the others are done all the same."""
    done = pinacle("pods", "stop", "a", "b", "a")
    assert [line.split(" on ")[0] for line in done.out.splitlines()] == [
        "pod a is stopped",
        "pod b is stopped",
    ]
    assert phases(client) == {"a": "stopped", "b": "stopped", "c": "running"}
    partly = pinacle("pods", "start", "a", "nobody", "b", code=1)
    assert partly.out.count("is running") == 2
    assert partly.err.startswith("nobody: pod_id: pod 'nobody' does not exist")
    found = pinacle("pods", "restart", "a", "nobody", "--json", code=1).json()
    assert [each["pod_id"] for each in found] == ["a", "nobody"]
    assert (found[0]["phase"], found[1].keys()) == ("running", {"pod_id", "error"})
    assert pinacle("pods", "stop", "a", "--json").json()["phase"] == "stopped"


def test_chosen_ones(pinacle: Pinacle, client: Client) -> None:
    """By labels, or all of them; of a deletion there is a question, whatever chose the pods."""
    pinacle("pods", "stop", "--label", "team=x")
    assert phases(client) == {"a": "stopped", "b": "stopped", "c": "running"}
    assert pinacle("pods", "start", "--label", "team", "--json").json()[1]["pod_id"] == "b"
    nobody = pinacle("pods", "stop", "--label", "team=y")
    assert (nobody.out, nobody.err) == ("", "there is no such pod\n")
    assert "add --yes" in pinacle("pods", "rm", "--all", code=2).error()
    assert len(phases(client)) == 3
    code, shown = pinacle.on_terminal("pods", "rm", "--label", "team", "--yes")
    assert code == 0, shown
    assert phases(client) == {"c": "running"}
    assert pinacle("pods", "delete", "--all", "--yes", "--json").json()[0]["phase"] == "deleted"
    assert phases(client) == {}
    assert pinacle("pods", "stop", "--all", "--json").json() == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("stop",), "say which pods, in one way: their IDs, or --label NAME=VALUE, or --all"),
        (("stop", "a", "--all"), "in one way"),
        (("rm", "a", "--label", "team", "--yes"), "in one way"),
        (("start", "--all", "--label", "team"), "in one way"),
        (("start", "a", "b", "--task-id", "x"), "is the id of one task, so it needs one pod"),
    ],
)
def test_what_is_refused(pinacle: Pinacle, client: Client, words: tuple[str, ...], text: str) -> None:
    assert text in pinacle("pods", *words, code=2).error()
    assert set(phases(client).values()) == {"running"}


@pytest.mark.parametrize("words", ["pods get ", "pods stop b ", "pods logs ", "pods rm "])
def test_the_shell_completes_ids(settings: dict[str, str], client: Client, words: str) -> None:
    """Of pods that exist; of none if Redis is away, and without a word about it."""
    client.call("delete", "c")
    line = f"pinacle {words}"
    asked = {"_PINACLE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    assert Pinacle(settings, asked)().out.split() == ["a", "b"]
    away = {**settings, "PINACLE_REDIS_URL": "redis://127.0.0.1:9/0"}
    done = Pinacle(away, asked)(code=None)
    assert (done.out.strip(), done.err) == ("", "")
