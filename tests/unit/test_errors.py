"""The error contract: every error has a kind, every kind a row in the docs, and both say the same."""

import json
import re
from inspect import signature
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery

import tasks.hosts
import tasks.pods
import worker.intake.control  # noqa: F401 - it defines errors of its own
from config.celery import make_app
from worker.cli.exits import exit_of, refused
from worker.errors import (
    ARGUMENTS,
    DOCS,
    RETRYABLE,
    ErrorKind,
    InternalError,
    InvalidInputError,
    PermanentError,
    PodError,
    PodNotFoundError,
    RetryableError,
    StoreUnavailableError,
    described,
    field_of,
    told_by,
)
from worker.pods.parsing import parse_spec

PAGE: Final = (Path(__file__).parents[2] / DOCS).read_text()
ROWS: Final = {
    kind: (anchor, meaning, retryable, remedy)
    for anchor, kind, meaning, retryable, remedy in re.findall(
        r'^\| <a id="([^"]*)"></a>`([a-z_]+)` \| (.*) \| (.*) \| (.*) \|$', PAGE, re.MULTILINE
    )
}


def classes(of: type[PodError] = PodError) -> set[type[PodError]]:
    return {of}.union(*map(classes, of.__subclasses__()))


EVERY: Final = sorted(classes(), key=lambda each: each.__name__)


def test_every_kind_has_a_row_and_every_row_is_a_kind() -> None:
    assert set(ROWS) == set(ErrorKind)


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_row_says_what_the_code_does(kind: ErrorKind) -> None:
    anchor, meaning, retryable, remedy = ROWS[kind]
    assert described(kind, "text")["docs"] == f"docs/errors.md#{anchor}"
    assert retryable == ("yes" if kind in RETRYABLE else "no")
    assert meaning
    assert remedy


@pytest.mark.parametrize("cls", EVERY, ids=lambda each: each.__name__)
def test_what_may_work_later_is_told_so(cls: type[PodError]) -> None:
    """Except where the first time may have worked: it would be done twice."""
    later = issubclass(cls, RetryableError) and cls.kind is not ErrorKind.OUTCOME_UNKNOWN
    assert (cls.kind in RETRYABLE) == later


def test_every_kind_is_used() -> None:
    root = Path(__file__).parents[2]
    files = [path for path in (root / "worker").rglob("*.py") if path.name != "errors.py"]
    named = set(re.findall(r"ErrorKind\.([A-Z_]+)", "".join(path.read_text() for path in files)))
    assert {kind.name for kind in ErrorKind} == named | {cls.kind.name for cls in EVERY}


@pytest.mark.parametrize("cls", EVERY, ids=lambda each: each.__name__)
def test_a_stored_failure_has_text_and_object(cls: type[PodError]) -> None:
    """As a web app reads it from Redis, and as Celery makes it again, with and without our class."""
    app = make_app(imports=())
    stored = json.loads(json.dumps(app.backend.prepare_exception(cls("spec.tier: no such tier"), "json")))
    told = described(cls.kind, "spec.tier: no such tier", "spec.tier")
    assert stored["exc_message"] == ["spec.tier: no such tier", told]
    again = app.backend.exception_to_python(dict(stored))
    assert type(again) is cls
    assert (str(again), told_by(again)) == ("spec.tier: no such tier", told)
    foreign = Celery().backend.exception_to_python(stored | {"exc_module": "a.module.that.is.not.there"})
    assert foreign.args == tuple(stored["exc_message"])


def test_what_flower_shows_has_kind_and_message() -> None:
    assert (
        repr(PodNotFoundError("there is none")) == "PodNotFoundError('there is none', kind='pod_not_found')"
    )


def test_what_a_newer_worker_told_is_passed_on() -> None:
    told = described(ErrorKind.REFUSED, "text") | {"kind": "of_tomorrow", "more": 1}
    assert told_by(PermanentError("text", told)) == told
    assert described("of_tomorrow", "text")["retryable"] is False


def test_an_error_that_is_not_ours_tells_nothing() -> None:
    assert told_by(ValueError("a", {"b": 1})) is None
    assert told_by(ValueError()) is None


def test_the_arguments_are_those_of_the_tasks() -> None:
    runs = [
        each.run
        for module in (tasks.pods, tasks.hosts)
        for each in vars(module).values()
        if str(getattr(each, "name", "")).startswith(("pods.", "hosts."))
    ]
    assert runs
    assert {name for run in runs for name in signature(run).parameters} - {"self", "_self"} == ARGUMENTS


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ([], "spec"),
        ({}, "spec.image"),
        ({"image": 1}, "spec.image"),
        ({"image": "a", "restart": "b"}, "spec.restart"),
        ({"image": "a", "ports": [{"container": 0}]}, "spec.ports[0].container"),
        ({"image": "a", "env": {"A": 1}}, "spec.env.A"),
    ],
)
def test_the_field_that_is_wrong_is_named(spec: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_spec(spec)
    told = told_by(caught.value)
    assert told is not None
    assert told["field"] == field, told["message"]


@pytest.mark.parametrize("text", ["pull: no such image", "message: cut off", "no colon", ""])
def test_other_texts_name_no_field(text: str) -> None:
    assert field_of(text) is None


@pytest.mark.parametrize("kind", ErrorKind)
def test_exit_codes_are_the_ones_in_the_table(kind: ErrorKind) -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.split("## Exit codes")[1], re.MULTILINE)
    named = {word: int(code) for code, words in rows for word in re.findall(r"`([a-z_]+)`", words)}
    assert exit_of(kind) == named.get(kind, 4 if kind in RETRYABLE else 1)


def test_a_bug_is_no_refusal() -> None:
    """It is logged with its traceback."""
    assert not issubclass(InternalError, PermanentError | RetryableError)
    assert str(StoreUnavailableError("gone")) == "gone"


def test_a_host_port_that_is_refused_may_be_the_other_one() -> None:
    """Docker has them the other way round."""
    for field, is_told in (("spec.ports[3].host", True), ("spec.ports[3].address", False)):
        told = described(ErrorKind.INVALID_INPUT, f"{field}: 80 is not allowed", field)
        assert ("CONTAINER:HOST" in str(refused(told["message"], told))) is is_told
