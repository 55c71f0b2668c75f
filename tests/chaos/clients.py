"""Several callers that send random tasks, sometimes twice or late, and remember the answers."""

import json
import threading
from collections import Counter
from contextlib import suppress
from random import Random
from time import monotonic
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.lines import SCRIPT

SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "command": ["sh", "-c", SCRIPT],
    "stop_timeout_s": 2,
    "init": False,
}
_ANSWER_S: Final = 20.0
_LATEST_S: Final = 40.0
"""Copies of messages come up to this late, which is past the visibility time-out of the test's worker."""


class Callers:
    """Threads that send until the test ends them."""

    def __init__(
        self, redis_url: str, pods: tuple[str, ...], seed: int, *, count: int = 3, answer_s: float = _ANSWER_S
    ) -> None:
        """`answer_s` is how long a caller waits for an answer before it sends something else."""
        self._url, self._pods, self._answer_s = redis_url, pods, answer_s
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.accepted: dict[str, tuple[int, str]] = {}
        """The newest intent of each pod that a caller knows of: generation and kind."""
        self._threads = [
            threading.Thread(target=self._call, args=(Random(f"{seed}/{number}"),)) for number in range(count)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _call(self, random: Random) -> None:
        # Without a backend: answers are polled for rather than subscribed to, as Redis is killed now and
        # then.
        app = Celery(broker=self._url)
        app.conf.broker_transport_options = {"socket_timeout": 3, "socket_connect_timeout": 3}
        late: list[tuple[float, str, str, dict[str, Any]]] = []
        while not self._end.wait(random.uniform(0.0, 0.4)):
            pod_id = random.choice(self._pods)
            name, kwargs = _request(random, pod_id)
            task_id = str(uuid4())
            if not _send(app, task_id, name, kwargs):
                continue
            self.sent[name] += 1
            if random.random() < 0.2:
                _send(app, task_id, name, kwargs)
                self.sent["copy at once"] += 1
            if random.random() < 0.2:
                late.append((monotonic() + random.uniform(1, _LATEST_S), task_id, name, kwargs))
            self._receive(pod_id, name, task_id)
            for one in [one for one in late if one[0] < monotonic()]:
                late.remove(one)
                _send(app, *one[1:])
                self.sent["late copy"] += 1
        app.close()

    def _receive(self, pod_id: str, name: str, task_id: str) -> None:
        answer = self._answer(task_id)
        if answer is None:
            self.answered["none in time"] += 1
        elif answer["status"] != "SUCCESS":
            self.answered[f"refused: {answer['result']['exc_type']}"] += 1
        else:
            result = answer["result"]
            self.answered[name] += 1
            with self._lock:
                newest = (result["generation"], result["intent"])
                self.accepted[pod_id] = max(newest, self.accepted.get(pod_id, (0, "")))

    def _answer(self, task_id: str) -> dict[str, Any] | None:
        deadline = monotonic() + self._answer_s
        while monotonic() < deadline and not self._end.wait(0.1):
            with suppress(RedisError), Redis.from_url(self._url, socket_timeout=2) as redis:
                stored = redis.get(f"celery-task-meta-{task_id}")
                if stored is not None:
                    found: dict[str, Any] = json.loads(str(stored, "utf-8"))
                    if found["status"] in ("SUCCESS", "FAILURE"):
                        return found
        return None


_REQUESTS: Final[tuple[tuple[int, str, tuple[dict[str, Any], ...]], ...]] = (
    (30, "pods.create", ({"spec": SPEC},)),
    (15, "pods.stop", ({},)),
    (15, "pods.start", ({},)),
    (10, "pods.restart", ({"force": True}, {})),
    (10, "pods.update", tuple({"spec": {**SPEC, "tier": tier}} for tier in ("dev.small", "dev.medium"))),
    (10, "pods.update", tuple({"spec": {**SPEC, "hostname": name}} for name in ("one", "two"))),
    (10, "pods.delete", ({},)),
)
"""How often, which task, and with one of which arguments."""


def _request(random: Random, pod_id: str) -> tuple[str, dict[str, Any]]:
    _, name, choices = random.choices(_REQUESTS, [weight for weight, *_ in _REQUESTS])[0]
    return name, {"pod_id": pod_id, **random.choice(choices)}


def _send(app: Celery, task_id: str, name: str, kwargs: dict[str, Any]) -> bool:
    """Return whether the broker took it."""
    try:
        app.send_task(name, kwargs=kwargs, queue="pods", task_id=task_id, retry=False)
    except (OperationalError, RedisError, OSError):
        return False
    return True
