"""Sends tasks as any program may, and gets all answers over one connection."""

import json
import threading
from concurrent.futures import Future
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from redis import Redis

PREFIX: Final = "celery-task-meta-"
_CONNECTIONS: Final = 30


class TaskFailedError(Exception):
    """A task answered with an error; its text begins with the kind."""


class Broker:
    """One for all callers together, as in a web app: a hundred consumers would be a load themselves."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url)
        self._app.conf.broker_transport_options = {"socket_timeout": 30}
        self._app.conf.broker_pool_limit = _CONNECTIONS
        self._redis = Redis.from_url(redis_url)
        self._heard: Any = self._redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._heard.psubscribe(f"{PREFIX}*")
        self._waiting: dict[str, Future[dict[str, Any]]] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def call(
        self, task: str, *args: Any, queue: str = "pods", timeout_s: float = 120, **kwargs: Any
    ) -> tuple[Any, float]:
        """Send `pods.{task}`; return its answer and the seconds until it came.

        Raises TaskFailedError with what the task raised, and TimeoutError.
        """
        began = monotonic()
        task_id, future = str(uuid4()), Future[dict[str, Any]]()
        self._waiting[task_id] = future
        try:
            self._app.send_task(f"pods.{task}", args=args, kwargs=kwargs, queue=queue, task_id=task_id)
            stored = future.result(timeout_s)
        finally:
            del self._waiting[task_id]
        if stored["status"] != "SUCCESS":
            raise TaskFailedError(f"{stored['result']['exc_type']}: {stored['result']['exc_message'][0]}")
        return stored["result"], monotonic() - began

    @property
    def control(self) -> Any:
        """Celery's remote control."""
        return self._app.control

    def asked(self) -> list[str]:
        """Return the ids of the tasks whose callers are waiting for an answer."""
        return list(self._waiting)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self._heard.close()
        self._redis.close()
        self._app.close()

    def _listen(self) -> None:
        while not self._end.is_set():
            message = self._heard.get_message(timeout=0.5)
            if message is None:
                continue
            future = self._waiting.get(message["channel"].decode().removeprefix(PREFIX))
            if future is not None:
                stored = json.loads(message["data"])
                if stored["status"] in ("SUCCESS", "FAILURE", "REVOKED") and not future.done():
                    future.set_result(stored)
