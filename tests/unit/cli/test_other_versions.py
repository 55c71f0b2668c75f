"""The command beside a worker of another version."""

import json
from collections.abc import Sequence
from typing import Any, Final

import pytest

from worker.cli import pods, previewing
from worker.cli.asking.calls import Call
from worker.cli.asking.sending import refused
from worker.cli.command import main
from worker.cli.exits import EndingError, Exit

_OLDER: Final = "arguments: 0 and {given} by name do not fit; allowed: pods.list(orphans)"
_POD: Final = {
    "pod_id": "abc",
    "phase": "running",
    "host": "h1",
    "intent": "running",
    "spec": {"image": "debian:12-slim", "tier": "dev.small"},
    "restarts": 0,
    "ports": [],
    "last_error": None,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a worker from before there were `fields` is asked; it answers as that one did."""
    every: list[dict[str, Any]] = []

    def older(wanted: Call) -> Any:
        kwargs = wanted.kwargs or {}
        every.append(kwargs)
        if kwargs.keys() <= {"orphans"}:
            return {"pods": [_POD]}
        text = _OLDER.format(given=len(kwargs))
        raise refused({"exc_type": "InvalidInputError", "exc_module": "worker.errors", "exc_message": [text]})

    monkeypatch.setattr(pods, "call", older)
    return every


def test_a_list_is_shown(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """Which fields it answers is a matter of speed."""
    assert main(["pods", "ls"]) == Exit.DONE
    assert "debian:12-slim" in capsys.readouterr().out
    assert [each.keys() for each in asked] == [{"orphans", "fields"}, {"orphans"}]


def test_a_choice_is_not_forgotten(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    """All pods would be the wrong answer to a question for some."""
    assert main(["pods", "ls", "--phase", "running"]) == Exit.FAILED
    line = capsys.readouterr().err
    assert "allowed: pods.list(orphans)" in line
    assert "of another version than this command: use the `pinacle` of its version" in line
    assert len(asked) == 1


@pytest.fixture
def without_dry_runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a worker from before there was a dry run is asked; it would do whatever has no `dry_run`."""
    every: list[dict[str, Any]] = []

    def older(wanted: Call) -> Any:
        every.append(wanted.kwargs or {})
        text = "arguments: 1 and 1 by name do not fit; allowed: pods.delete(pod_id)"
        raise refused({"exc_type": "InvalidInputError", "exc_module": "worker.errors", "exc_message": [text]})

    def older_each(wanted: Sequence[Call]) -> list[Any]:
        answers: list[Any] = []
        for each in wanted:
            with pytest.raises(EndingError) as caught:
                older(each)
            answers.append(caught.value)
        return answers

    monkeypatch.setattr(previewing, "call", older)
    monkeypatch.setattr(previewing, "call_each", older_each)
    return every


DRY: Final = {
    "an update": ("update", "abc", "--tier", "dev.large"),
    "a deletion": ("delete", "abc"),
    "deletions": ("delete", "abc", "def"),
}


@pytest.mark.parametrize("words", DRY.values(), ids=DRY)
@pytest.mark.parametrize("more", [(), ("--json",)], ids=["", "json"])
def test_a_dry_run_is_never_taken_for_the_change(
    without_dry_runs: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    more: tuple[str, ...],
) -> None:
    """It is asked for with `dry_run` and in no other way, and what is said is what matters."""
    assert main(["pods", *words, "--dry-run", *more]) == Exit.FAILED
    assert without_dry_runs
    assert all(each["dry_run"] is True for each in without_dry_runs)
    shown = capsys.readouterr()
    said = "the worker is older than this command and knows no dry run; nothing was changed"
    assert said in " ".join((shown.out + shown.err).split())
    assert "this was a dry run" not in shown.err
    if more:
        answer = json.loads(shown.out)
        errors = [each["error"] for each in answer] if isinstance(answer, list) else [answer["error"]]
        assert [each["message"] for each in errors] == [said] * len(without_dry_runs)


def test_pods_found_by_a_label_are_told_in_a_list(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also if it is only one: otherwise a program would have to know how many there are."""
    monkeypatch.setattr(pods, "chosen", lambda *_, **__: ["abc"])
    monkeypatch.setattr(previewing, "call_each", lambda calls: [{"pod_id": each.args[0]} for each in calls])
    assert main(["pods", "delete", "--label", "a=b", "--dry-run", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out) == [{"pod_id": "abc"}]
