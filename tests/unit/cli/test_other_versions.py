"""The command beside a worker of another version."""

from typing import Any, Final

import pytest

from worker.cli import pods
from worker.cli.asking.calls import Call
from worker.cli.asking.sending import refused
from worker.cli.command import main
from worker.cli.exits import Exit

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
