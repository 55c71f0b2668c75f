"""The package for other programs: what it knows is what the worker has, and it needs nothing of ours."""

import ast
import inspect
import sys
from pathlib import Path
from typing import Any, Final

import pytest

import worker.client
from config.queues import queue_of as queue_in_config
from config.settings import Settings
from worker.app import app
from worker.client import Client, PinacleError, errors
from worker.client.calls import Hosts, How, Pods
from worker.client.client import HEARTBEAT_TTL_S, HEARTBEATS
from worker.client.following import STREAM
from worker.client.names import QUEUES, queue_of
from worker.errors import RETRYABLE, ErrorKind, described
from worker.store import keys

FOLDER: Final = Path(worker.client.__file__).parent
NEEDED: Final = {"celery", "kombu", "redis"}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_it_imports_itself_and_what_celery_with_redis_brings(path: Path) -> None:
    """A relative import of one level stays inside, by whatever name it is installed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            named = [(node.module or "", node.level)]
        elif isinstance(node, ast.Import):
            named = [(alias.name, 0) for alias in node.names]
        else:
            continue
        for module, level in named:
            top = module.partition(".")[0]
            assert level == 1 or (level == 0 and top in NEEDED | sys.stdlib_module_names), (level, module)


def test_it_knows_each_task_and_its_queue() -> None:
    app.loader.import_default_modules()
    has = {name for name in app.tasks if name.startswith(("pods.", "hosts."))}
    assert dict(QUEUES) == {name: queue_in_config(name) for name in has}


@pytest.mark.parametrize("name", sorted(QUEUES))
def test_each_call_has_the_tasks_own_arguments_and_defaults(name: str) -> None:
    """They are sent by position: the order is the task's, and a default means the same."""
    app.loader.import_default_modules()
    sent: list[tuple[Any, ...]] = []

    def call(*message: Any, **_how: Any) -> dict[str, Any]:
        sent.append(message)
        return {}

    room, method = name.split(".")
    bound = getattr((Pods if room == "pods" else Hosts)(call), method)
    own = [each for each in inspect.signature(bound).parameters.values() if each.kind is not each.VAR_KEYWORD]
    parameters = inspect.signature(app.tasks[name].run).parameters
    # Those by keyword only give another kind of answer, and have methods of their own.
    task = {key: each for key, each in parameters.items() if each.kind is not each.KEYWORD_ONLY}
    assert [each.name for each in own] == [*task]
    required = [each.name for each in own if each.default is each.empty]
    bound(**{each: {} if each == "spec" else [each] if each == "command" else each for each in required})
    told = dict(zip(task, sent[0][1:], strict=True))
    defaults = {each: task[each].default for each in told if each not in required}
    # JSON has no tuples.
    expected = {each: list(value) if isinstance(value, tuple) else value for each, value in defaults.items()}
    assert {each: told[each] for each in defaults} == expected


@pytest.mark.parametrize("method", ["update", "delete"])
def test_a_preview_asks_what_the_change_itself_asks(method: str) -> None:
    """With the same arguments at the same places, and nothing but `dry_run` beside them."""
    sent: list[tuple[Any, Any]] = []

    def call(*message: Any, **how: Any) -> dict[str, Any]:
        sent.append((message, how))
        return {}

    pods = Pods(call)
    args = ("a", {"tier": "dev.large"}) if method == "update" else ("a",)
    for each in (method, f"preview_{method}"):
        getattr(pods, each)(*args)
    (change, how), (preview, more) = sent
    assert change == preview
    assert (how, more) == ({}, {"kwargs": {"dry_run": True}})
    change_takes, preview_takes = (
        list(inspect.signature(getattr(pods, each)).parameters) for each in (method, f"preview_{method}")
    )
    assert change_takes == preview_takes


def test_no_argument_of_a_task_is_called_like_one_of_the_calls_own() -> None:
    app.loader.import_default_modules()
    named = {each for name in QUEUES for each in inspect.signature(app.tasks[name].run).parameters}
    assert not named & How.__annotations__.keys()


def test_it_reads_what_the_worker_writes() -> None:
    assert HEARTBEATS == keys.HEARTBEATS
    assert STREAM == keys.EVENTS
    assert Settings.model_fields["heartbeat_ttl_s"].default == HEARTBEAT_TTL_S


@pytest.mark.parametrize("name", ["pods.crate", "create", "celery.ping", ""])
def test_a_name_that_no_task_has_is_refused_and_not_quoted(name: str) -> None:
    with pytest.raises(errors.UnknownTaskError) as refused:
        queue_of(name)
    assert refused.value.kind == "unknown_task"
    assert not refused.value.retryable
    assert "pods.create" in str(refused.value)


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(errors.UnknownTaskError, match=r"nearest is pods\.create;"):
        queue_of("pods.crate")


TOLD: Final = {
    "kind": "pod_exists",
    "field": "spec.image",
    "message": "it exists",
    "retryable": False,
    "docs": "docs/errors.md#pod_exists",
}


def test_an_error_is_what_the_worker_told() -> None:
    error = errors.raised(Exception("it exists", TOLD), task_id="1")
    assert type(error) is errors.PodExistsError
    assert (error.kind, error.field, error.message, error.retryable, error.docs, error.task_id) == (
        "pod_exists",
        "spec.image",
        "it exists",
        False,
        "docs/errors.md#pod_exists",
        "1",
    )


def test_an_unknown_kind_is_the_base_and_says_what_it_is() -> None:
    error = errors.raised(Exception("new", TOLD | {"kind": "newer_thing", "retryable": True}), task_id="1")
    assert type(error) is PinacleError
    assert (error.kind, error.retryable) == ("newer_thing", True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PodNotFoundError", errors.PodNotFoundError),
        ("NotRegistered", errors.UnknownTaskError),
        ("TaskRevokedError", errors.RevokedError),
        ("SomeOtherError", PinacleError),
    ],
)
def test_without_an_object_the_name_of_the_class_decides(name: str, expected: type[PinacleError]) -> None:
    """As older workers and Celery itself answer."""
    error = errors.raised(type(name, (Exception,), {})("words"), task_id="1")
    assert type(error) is expected
    assert str(error) == "words"


@pytest.mark.parametrize("told", [None, "text", [], {"kind": "image_not_found", "message": "none such"}])
def test_a_failed_pod_is_an_error_whatever_its_answer_tells(told: object) -> None:
    answer = {"phase": "failed", "last_error": "in short", "error": told}
    error = errors.failed(answer, task_id="1")
    known = isinstance(told, dict)
    assert type(error) is (errors.ImageNotFoundError if known else errors.RefusedError)
    assert str(error) == ("none such" if known else "in short")
    assert error.answer is answer


def test_without_redis_nothing_is_sent_and_the_address_is_not_told() -> None:
    with (
        Client("redis://:secret@127.0.0.1:1/0") as client,
        pytest.raises(errors.StoreUnavailableError) as away,
    ):
        client.pods.get("abc")
    assert away.value.retryable
    assert "secret" not in str(away.value)


def test_there_is_a_class_for_each_kind_that_a_worker_tells() -> None:
    """And the client's own: no worker, and what Celery says of a revoked task."""
    of_the_command = {ErrorKind.USAGE, ErrorKind.UNFINISHED, ErrorKind.INTERRUPTED}
    assert errors.kinds() - {"no_worker", "revoked"} == {
        str(each) for each in set(ErrorKind) - of_the_command
    }
    for kind in set(ErrorKind) - of_the_command:
        found = errors.described(described(kind, "text"), task_id="t")
        assert (found.kind, found.retryable) == (kind, kind in RETRYABLE)
