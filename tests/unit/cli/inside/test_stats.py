"""`pinacle pods stats` of several pods: what could be measured is shown, whatever became of the others."""

from typing import Any

import pytest
import typer

from worker.cli.exits import EndingError, Exit, refused
from worker.cli.inside import usage
from worker.errors import ErrorKind, described

ANSWER = {"host": "here", "pods": [{"pod_id": "a"}], "unmeasured": []}


@pytest.mark.parametrize(
    ("kind", "code"), [(ErrorKind.HOST_AWAY, Exit.NOBODY), (ErrorKind.NOT_RUNNING, Exit.FAILED)]
)
def test_one_that_is_refused_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: ErrorKind, code: Exit
) -> None:
    told: list[Any] = [ANSWER, refused("pod_id: b is not there", described(kind, "text"))]
    monkeypatch.setattr(usage, "call_each", lambda *_, **__: told)
    with pytest.raises(typer.Exit) as ended:
        usage.stats(["a", "b"], as_json=True)
    assert ended.value.exit_code == code
    said = capsys.readouterr()
    assert '"pod_id": "a"' in said.out
    assert "b is not there" in said.err


def test_a_look_at_all_ends_with_what_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    away = refused("host: away", described(ErrorKind.HOST_AWAY, "text"))
    told: list[Any] = [{"pods": []}, away]
    monkeypatch.setattr(usage, "call_each", lambda *_, **__: told)
    monkeypatch.setattr(usage, "_of_all_hosts", lambda _timeout_s: [])
    with pytest.raises(EndingError) as ended:
        usage.top(as_json=True)
    assert ended.value is away
