"""Whether Celery can take a message: its protocol 2, as JSON. Pure: nothing is logged or read.

Celery does not check what its own senders never get wrong. A wrong type there ends the worker, the message
goes back into its queue, and it ends the next worker as well.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from config.queues import LARGEST_BODY
from worker.quoting import json_type, shown

_JSON: Final = "application/json"
_ENCODINGS: Final = frozenset({"utf-8", "utf8", "us-ascii"})
_CELERYS: Final = "celery."
_OF_CHORDS: Final = frozenset({"celery.accumulate", "celery.chord_unlock"})
"""What Celery itself sends for chords that contain groups."""
_PARTS: Final = "[arguments, keyword arguments, options]"
_ID: Final = re.compile(r"[\x21-\x7e]{1,255}")

Judge = Callable[[Any], bool]


def _is(*kinds: type) -> Judge:
    return lambda value: value is None or (isinstance(value, kinds) and not isinstance(value, bool))


def _is_list_of(*kinds: type) -> Judge:
    return lambda value: (
        value is None or (isinstance(value, list | tuple) and all(isinstance(item, kinds) for item in value))
    )


def _is_timelimit(value: Any) -> bool:
    is_pair = isinstance(value, list | tuple) and len(value) == 2  # noqa: PLR2004 - hard and soft
    return value is None or (is_pair and all(_is(int, float)(item) for item in value))


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


_HEADERS: Final[Mapping[str, tuple[Judge, str]]] = {
    **dict.fromkeys(
        (
            "root_id",
            "parent_id",
            "group",
            "shadow",
            "eta",
            "expires",
            "argsrepr",
            "kwargsrepr",
            "origin",
            "lang",
        ),
        (_is(str), "a string"),
    ),
    **dict.fromkeys(("group_index", "retries", "replaced_task_nesting"), (_is_count, "a number from 0")),
    "timelimit": (_is_timelimit, "two numbers or nulls"),
    "ignore_result": (_is_flag, "true or false"),
    "stamped_headers": (_is_list_of(str), "a list of strings"),
    "stamps": (_is(dict), "an object"),
}
_PROPERTIES: Final[Mapping[str, tuple[Judge, str]]] = {
    **dict.fromkeys(("correlation_id", "reply_to"), (_is(str), "a string")),
    "priority": (_is(int), "a number"),
    "delivery_info": (_is(dict), "an object"),
}
_EMBEDDED: Final[Mapping[str, tuple[Judge, str]]] = {
    **dict.fromkeys(("callbacks", "errbacks", "chain"), (_is_list_of(dict, list, tuple), "a list of tasks")),
    "chord": (_is(dict, str, list), "a task"),
}


def task_id(headers: Any) -> str | None:
    """Return the id under which a failure can be reported, None if there is no usable one."""
    given = headers.get("id") if isinstance(headers, dict) else None
    return given if isinstance(given, str) and _ID.fullmatch(given) else None


def head_problem(headers: Any, properties: Any, content_type: Any, content_encoding: Any) -> str | None:
    """Return what is wrong with the parts beside the body. It quotes no value except short words."""
    for name, value in (("headers", headers), ("properties", properties)):
        if not isinstance(value, dict):
            return f"{name}: {json_type(value)}; allowed: an object"
    return (
        _name_problem(headers)
        or _content_type_problem(content_type, content_encoding)
        or _first("headers", _HEADERS, headers)
        or _first("properties", _PROPERTIES, properties)
    )


def _name_problem(headers: Mapping[str, Any]) -> str | None:
    task = headers.get("task")
    if not isinstance(task, str) or not task:
        return f"headers.task: {json_type(task)}; allowed: a task's name, by Celery's message protocol 2"
    if task.startswith(_CELERYS) and task not in _OF_CHORDS:
        # `celery.map` and the like run other tasks within themselves: without an id, by which a request is
        # accepted only once, and in the lane of `celery.map` rather than their own.
        return f"headers.task: {shown(task)} is one of Celery's own; allowed: the tasks of pods and hosts"
    if task_id(headers) is None:
        given = json_type(headers.get("id"))
        return f"headers.id: {given}; allowed: a string of 1 to 255 printable characters of ASCII"
    return None


def _content_type_problem(content_type: Any, content_encoding: Any) -> str | None:
    if content_type != _JSON:
        return f"content-type: {shown(content_type)}; allowed: {_JSON}"
    if not isinstance(content_encoding, str) or content_encoding.lower() not in _ENCODINGS:
        return f"content-encoding: {shown(content_encoding)}; allowed: utf-8"
    return None


def body_problem(body: Any) -> str | None:
    """Return what is wrong with a body as it arrived, None if it has the three parts that it should have."""
    if isinstance(body, str | bytes) and len(body) > LARGEST_BODY:
        return f"body: {len(body)} bytes; allowed: {LARGEST_BODY}"
    try:
        parts = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return f"body: cannot be read as JSON; allowed: {_PARTS}"
    if not isinstance(parts, list) or len(parts) != 3:  # noqa: PLR2004 - the protocol's
        size = f" of {len(parts)}" if isinstance(parts, list) else ""
        return f"body: {json_type(parts)}{size}; allowed: {_PARTS}"
    return _parts_problem(*parts)


def _parts_problem(args: Any, kwargs: Any, options: Any) -> str | None:
    kinds = (
        ("arguments", args, list, "a list"),
        ("keyword arguments", kwargs, dict, "an object"),
        ("options", {} if options is None else options, dict, "an object or null"),
    )
    for name, value, kind, allowed in kinds:
        if not isinstance(value, kind):
            return f"body: {name}: {json_type(value)}; allowed: {allowed}"
    return _first("body: options", _EMBEDDED, options or {})


def _first(where: str, judges: Mapping[str, tuple[Judge, str]], given: Mapping[str, Any]) -> str | None:
    for name, (judge, allowed) in judges.items():
        if name in given and not judge(given[name]):
            return f"{where}.{name}: {json_type(given[name])}; allowed: {allowed}"
    return None
