"""Messages of every form in a queue: as in Celery's own protocol, and malformed."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any, Final
from uuid import uuid4

CANARY: Final = "canary-in-a-message"
"""In each body: never to be seen in a log."""
_ODD: Final[tuple[Any, ...]] = (
    *(
        None,
        5,
        -1,
        1.5,
        True,
        "x",
        "",
        "\ud800",
        [],
        ["x"],
        [[]],
        {},
        {"x": "x"},
        [None, {}],
        "ж" * 300,
        10**400,
    ),
)
_BODIES: Final[tuple[Any, ...]] = (
    *(None, 5, "text", [], {}, [[]], [[], {}], [[], {}, 5], [[], [], {}], [{}, {}, {}], [5, {}, None]),
    *([[], {}, {}, {}], [[], {}, {"chain": 5}], [[], {}, {"callbacks": {}}], [[], {}, {"errbacks": [5]}]),
    [[], {}, {"chord": 5}],
)


def sound() -> dict[str, Any]:
    """Return what is in the queue for a `pods.get` of a pod that does not exist."""
    task_id = str(uuid4())
    return {
        "body": encoded([["no-such-pod"], {}, {"callbacks": None, "chain": None, "other": CANARY}]),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": "pods.get",
            "id": task_id,
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": task_id,
            "parent_id": None,
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": "test",
            "ignore_result": False,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": str(uuid4()),
            "delivery_mode": 2,
            "priority": 0,
            "delivery_info": {"exchange": "", "routing_key": "pods"},
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def spoiled(seed: int) -> str:
    """Return what is in the queue for a message with one to three random faults."""
    chance, message = Random(seed), sound()
    for _ in range(chance.randint(1, 3)):
        chance.choice(_SPOILERS)(message, chance)
    text = json.dumps(message)
    return text[: chance.randrange(len(text))] if chance.random() < 0.03 else text


def each_once() -> Iterator[str]:
    """Yield messages in which one header, property or part of the envelope has an odd value, all in turn."""
    for body in _BODIES:
        yield json.dumps(sound() | {"body": encoded(body)})
    for part in ("headers", "properties"):
        for name in sound()[part]:
            for value in _ODD:
                message = sound()
                message[part] |= {name: value}
                yield json.dumps(message)
    for name in sound():
        for value in _ODD:
            yield json.dumps(sound() | {name: value})


def encoded(body: Any) -> str:
    return b64encode(json.dumps(body).encode()).decode()


def _set(part: str) -> Callable[[dict[str, Any], Random], None]:
    def spoil(message: dict[str, Any], chance: Random) -> None:
        if isinstance(message.get(part), dict) and message[part]:
            message[part][chance.choice(sorted(message[part]))] = deepcopy(chance.choice(_ODD))

    return spoil


def _remove(part: str) -> Callable[[dict[str, Any], Random], None]:
    def spoil(message: dict[str, Any], chance: Random) -> None:
        if isinstance(message.get(part), dict) and message[part]:
            del message[part][chance.choice(sorted(message[part]))]

    return spoil


def _replace(message: dict[str, Any], chance: Random) -> None:
    message[chance.choice(sorted(message))] = deepcopy(chance.choice(_ODD))


def _cut(message: dict[str, Any], chance: Random) -> None:
    message.pop(chance.choice(sorted(message)), None)


def _another_body(message: dict[str, Any], chance: Random) -> None:
    message["body"] = encoded(chance.choice(_BODIES))


def _another_type(message: dict[str, Any], chance: Random) -> None:
    message["content-type"] = chance.choice(
        ["application/x-python-serialize", "application/x-yaml", "text/plain"]
    )


def _compressed(message: dict[str, Any], chance: Random) -> None:
    if isinstance(message.get("headers"), dict):
        message["headers"]["compression"] = chance.choice(["application/x-gzip", "bzip2", 5])


_SPOILERS: Final = (
    *(_set("headers"), _set("headers"), _set("properties"), _remove("headers"), _remove("properties")),
    *(_replace, _cut, _another_body, _another_type, _compressed),
)
