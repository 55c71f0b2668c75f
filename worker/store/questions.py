"""Puts a question into its queue and waits for the answer, in Celery's protocol 2, without loading Celery."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, Final, Self, cast
from uuid import uuid4

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.store import keys
from worker.store.translate import translated

_LOOK_EVERY_S: Final = 1.0
_RESULT: Final = "celery-task-meta-"
"""Prefix of the key of a result, which is also the channel on which it is published."""
_ENDED: Final = ("SUCCESS", "FAILURE", "REVOKED", "REJECTED")
_US: Final = 10**6


class NoAnswerError(Exception):
    """Time is up."""


class Questions:
    """One connection to Redis for a program that asks once. All methods raise StoreUnavailableError."""

    def __init__(self, url: str, *, socket_timeout_s: float) -> None:
        """`socket_timeout_s`: after how many seconds without an answer Redis counts as away."""
        self._redis = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=max(socket_timeout_s, 2 * _LOOK_EVERY_S),
            socket_connect_timeout=socket_timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(redis.RedisError):
            self._redis.close()

    def heartbeat_ages(self) -> list[float]:
        """Return the seconds since each host's last heartbeat."""
        with translated("heartbeats"):
            pipe = self._redis.pipeline(transaction=False)
            pipe.time()
            pipe.zrange(keys.HEARTBEATS, 0, -1, withscores=True)
            (seconds, microseconds), beats = pipe.execute()
        return [float(seconds) + float(microseconds) / _US - beat for _, beat in beats]

    def ask(
        self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, queue: str, timeout_s: float
    ) -> tuple[str, Any]:
        """Return Celery's state of the task and what it returned, or what is stored of its error.

        Raises NoAnswerError after `timeout_s` seconds.
        """
        task_id, ends = str(uuid4()), monotonic() + timeout_s
        with translated("ask"), cast("Any", self._redis).pubsub(ignore_subscribe_messages=True) as answers:
            # Subscribed before it is sent, so that no answer is missed.
            answers.subscribe(_RESULT + task_id)
            self._redis.lpush(queue, json.dumps(message(task, args, kwargs, task_id=task_id, queue=queue)))
            while (left_s := ends - monotonic()) > 0:
                told = answers.get_message(timeout=min(_LOOK_EVERY_S, left_s))
                # Published answers are lost with a connection; the key is there anyway.
                found: Any = told["data"] if told else self._redis.get(_RESULT + task_id)
                result = json.loads(found) if found else {}
                if result.get("status") in _ENDED:
                    return result["status"], result["result"]
        raise NoAnswerError


def message(
    task: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, task_id: str, queue: str
) -> dict[str, Any]:
    """Return a task's message as Celery and kombu write it."""
    body = json.dumps([args, kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    return {
        "body": b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": task_id,
            "root_id": task_id,
            "parent_id": None,
            "group": None,
            "retries": 0,
            "eta": None,
            "expires": None,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": "pinacle",
        },
        "properties": {
            "correlation_id": task_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
