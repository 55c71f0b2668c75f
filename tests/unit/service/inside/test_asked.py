"""What may be asked of the inside of a pod, and what is said of everything else."""

from typing import Any

import pytest

from worker.errors import InvalidInputError
from worker.service.inside.asked import Execution, Logs, parse_execution, parse_logs

CANARY = "canary $(value)"


@pytest.mark.parametrize(
    ("tail", "since", "logs"),
    [
        (100, None, Logs(tail=100, since=None)),
        (1, 0, Logs(tail=1, since=0.0)),
        (10_000, 1.5, Logs(tail=10_000, since=1.5)),
        (1, "1970-01-01T00:00:02Z", Logs(tail=1, since=2.0)),
        (1, "1970-01-01T01:00:02+01:00", Logs(tail=1, since=2.0)),
    ],
)
def test_logs_are_asked_for_by_lines_and_by_time(tail: Any, since: Any, logs: Logs) -> None:
    assert parse_logs(tail, since) == logs


@pytest.mark.parametrize(
    ("tail", "since", "words"),
    [
        (0, None, "tail: 0 is not allowed; allowed: 1 to 10000 lines"),
        (10_001, None, "tail: 10001 is"),
        (True, None, "tail: true is"),
        ("all", None, "tail: 'all' is"),
        (1, -1, "since: -1 is not allowed; allowed: seconds since the epoch, or a time with its zone"),
        (1, True, "since: true is"),
        (1, "1970-01-01T00:00:02", "since: '1970-01-01T00:00:02' is"),
        (1, "yesterday", "since: 'yesterday' is"),
        (1, CANARY, "since: a string of 15 characters is"),
        (1, 2**40, "since: 1099511627776 is"),
    ],
)
def test_other_logs_are_refused(tail: Any, since: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_logs(tail, since)
    assert str(caught.value).startswith(words)
    assert CANARY not in str(caught.value)


def test_a_command_has_the_time_that_it_is_given() -> None:
    wanted = Execution(command=("ls", "-l"), user="1000:1000", timeout_s=2.5)
    assert parse_execution(["ls", "-l"], "1000:1000", 2.5, longest_s=25) == wanted


def test_the_default_is_no_longer_than_a_task_waits() -> None:
    assert parse_execution(["ls"], None, 20, longest_s=25).timeout_s == 20
    assert parse_execution(["ls"], None, 20, longest_s=5).timeout_s == 5


@pytest.mark.parametrize(
    ("command", "user", "timeout_s", "words"),
    [
        (None, None, 1, "command: null is not allowed; allowed: a list of 1 to 1000 strings"),
        ("ls", None, 1, "command: 'ls' is"),
        (CANARY, None, 1, "command: a string of 15 characters is"),
        ([], None, 1, "command: a list of 0 is"),
        ([""], None, 1, "command: a list of 1 is"),
        (["x"] * 1001, None, 1, "command: a list of 1001 is"),
        (["sh", 1], None, 1, "command: a word of it is no string"),
        (["sh", "\0"], None, 1, "command: a word of it is no string, or holds a NUL"),
        (["echo", "x" * 130_000], None, 1, "command: 130004 bytes; allowed: 128000"),
        (["ls"], "", 1, "user: '' is not allowed; allowed: a user name or id"),
        (["ls"], "a:b:c", 1, "user: 'a:b:c' is"),
        (["ls"], 0, 1, "user: 0 is"),
        (["ls"], None, 0, "timeout_s: 0 is not allowed; allowed: seconds above 0, at most 25"),
        (["ls"], None, 25.5, "timeout_s: 25.5 is"),
        (["ls"], None, True, "timeout_s: true is"),
        (["ls"], None, None, "timeout_s: null is"),
        (["ls"], None, float("nan"), "timeout_s: nan is"),
    ],
)
def test_other_commands_are_refused(command: Any, user: Any, timeout_s: Any, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_execution(command, user, timeout_s, longest_s=25)
    assert str(caught.value).startswith(words)
    assert CANARY not in str(caught.value)
