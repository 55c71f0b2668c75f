"""Callers that send what nobody should, as often as they like."""

import json
import pickle
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import uuid4

from redis import Redis

from config.queues import shared_queues
from tests.load.answers import Broker, TaskFailedError
from tests.support.messages import encoded, sound, spoiled

HELD: Final = "load-keeper"
"""The pod whose port others ask for."""
PORT: Final = 23999
_LISTS: Final = 17.0
"""In a second: ten thousand in ten minutes."""
_GETS: Final = 60.0
_FLOOD: Final = 100
_STANDING: Final = 200
"""Floods pause while as many messages wait: all that one worker can answer, and no queue without an end."""
_DEAD_PODS: Final = 100
_FIRST_S: Final = 5.0
"""Until then each kind has begun, also in a short run."""


@dataclass
class Done:
    """What all hostile callers did, and what should not have happened."""

    sent: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind: str, sent: int, refused: int = 0) -> None:
        with self._lock:
            self.sent[kind] += sent
            self.refused[kind] += refused


class Hostile:
    """One caller of one kind."""

    def __init__(
        self,
        broker: Broker,
        redis: Redis,
        done: Done,
        random: Random,
        *,
        trap: Path,
        registry: str,
        many: int,
        is_gentle: bool,
    ) -> None:
        """`trap` is a file that a pickle makes if it is unpickled; there are `many` callers of each kind.

        With `is_gentle`, floods also wait for what a worker has taken, so that a slow machine can keep up.
        """
        self._is_gentle = is_gentle
        self._broker, self._redis, self._done, self._random = broker, redis, done, random
        self._trap, self._registry, self._many = trap, registry, many

    def live(self, kind: str, end: threading.Event) -> None:
        """Do it again and again until `end`."""
        act, pause_s = KINDS[kind]
        wait_s = self._random.uniform(0, _FIRST_S)
        while not end.wait(wait_s):
            wait_s = self._random.expovariate(1 / (pause_s * self._many))
            try:
                if kind in _FLOODS and self._done.sent[kind] and self._waiting() > _STANDING:
                    continue
                self._done.count(kind, act(self))
            except Exception as error:  # noqa: BLE001 - it is reported, at the end, with all others
                self._done.wrong.append(f"{kind}: {type(error).__name__}: {error}")

    def _waiting(self) -> int:
        taken = self._redis.hlen("unacked") if self._is_gentle else 0
        return int(sum(map(self._redis.llen, shared_queues())) + taken)

    def malformed(self) -> int:
        texts = [spoiled(self._random.randrange(10**9)) for _ in range(20)]
        self._push(self._random.choice(("pods", "questions")), texts)
        return len(texts)

    def pickles(self) -> int:
        message, body = sound(), pickle.dumps(([_Trap(str(self._trap))], {}, {}))
        message |= {"body": b64encode(body).decode(), "content-type": "application/x-python-serialize"}
        message["content-encoding"] = "binary"
        self._push("pods", [json.dumps(message)])
        return 1

    def unknown(self) -> int:
        message = sound()
        message["headers"]["task"] = self._random.choice(("pods.crate", "os.system", ""))
        self._push("pods", [json.dumps(message)])
        return 1

    def huge(self) -> int:
        specs: tuple[dict[str, Any], ...] = (
            {"image": "pinacle-busybox", "env": {"X": "x" * 1_200_000}},
            {"image": "pinacle-busybox", "env": {f"X{number}": "" for number in range(100_000)}},
            {"image": "pinacle-busybox", "command": ["x"] * 300_000},
            {"image": "pinacle-busybox", "ports": [{"container": 1 + number} for number in range(60_000)]},
            {"image": "x" * 1_000_000},
        )
        return self._refused("huge", "create", "load-huge", self._random.choice(specs))

    def wrong_types(self) -> int:
        task = self._random.choice(("create", "start", "stop", "restart", "update", "delete", "get"))
        odd: Any = self._random.choice((None, 5, [], {}, ["x"], "../x", {"a": {"b": []}}, True, -1.5))
        return self._refused("wrong types", task, odd)

    def out_of_policy(self) -> int:
        more = self._random.choice(
            (
                {"runtime": "no-such-runtime"},
                {"image": "elsewhere.example/x:1"},
                {"ports": [{"container": 80, "host": 80}]},
                {"ports": [{"container": 80, "address": "0.0.0.0"}]},  # noqa: S104 - is what is refused
                {"tier": "dev.giant"},
                {"privileged": True},
                {"binds": ["/:/host"]},
            )
        )
        return self._refused("out of policy", "create", "load-policy", {"image": "pinacle-busybox", **more})

    def taken_ports(self) -> int:
        spec = {"image": "pinacle-busybox", "ports": [{"container": 80, "host": PORT}]}
        return self._refused("taken ports", "create", "load-port", spec)

    def gets(self) -> int:
        self._push("pods", [_message("pods.get", [HELD]) for _ in range(_FLOOD)])
        return _FLOOD

    def lists(self) -> int:
        self._push("pods", [_message("pods.list", []) for _ in range(_FLOOD)])
        return _FLOOD

    def dead_registry(self) -> int:
        """Send creations that nobody can finish, and the deletion of some."""
        numbers = self._random.sample(range(_DEAD_PODS), 20)
        for number in numbers:
            spec = {"image": f"{self._registry}/dead-{number}:1"}
            self._push("pods", [_message("pods.create", [f"load-dead-{number}", spec])])
        self._push("pods", [_message("pods.delete", [f"load-dead-{number}"]) for number in numbers[:10]])
        return len(numbers)

    def remote_control(self) -> int:
        """Send remote control about tasks for which honest callers are waiting."""
        task_id = self._random.choice(self._broker.asked() or ["none"])
        command, arguments = self._random.choice(
            (
                ("terminate", {"task_id": task_id, "signal": "SIGKILL"}),
                ("revoke", {"task_id": task_id, "terminate": True}),
                ("revoke", {"task_id": str(uuid4())}),
                ("rate_limit", {"task_name": "pods.get", "rate_limit": "1/h"}),
                ("time_limit", {"task_name": "pods.stop", "soft": 0.1, "hard": 0.1}),
            )
        )
        self._broker.control.broadcast(command, arguments=arguments)
        return 1

    def _refused(self, kind: str, task: str, *args: Any) -> int:
        try:
            answer, _ = self._broker.call(task, *args)
        except TaskFailedError:
            self._done.count(kind, 0, refused=1)
        else:
            self._done.wrong.append(f"{kind}: pods.{task} answered {str(answer)[:200]}")
        return 1

    def _push(self, queue: str, texts: list[str]) -> None:
        self._redis.lpush(queue, *(text.encode(errors="surrogatepass") for text in texts))


class _Trap:
    """Makes a file when somebody unpickles it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._path, "w")


def _message(task: str, arguments: list[Any]) -> str:
    message, task_id = sound(), str(uuid4())
    message["body"] = encoded([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None}])
    message["headers"] |= {"id": task_id, "root_id": task_id, "task": task}
    message["properties"] |= {"correlation_id": task_id, "delivery_tag": str(uuid4())}
    return json.dumps(message)


KINDS: Final[dict[str, tuple[Callable[[Hostile], int], float]]] = {
    "malformed": (Hostile.malformed, 1.0),
    "pickles": (Hostile.pickles, 0.5),
    "unknown tasks": (Hostile.unknown, 0.3),
    "huge": (Hostile.huge, 3.0),
    "wrong types": (Hostile.wrong_types, 0.3),
    "out of policy": (Hostile.out_of_policy, 0.5),
    "taken ports": (Hostile.taken_ports, 0.5),
    "floods of gets": (Hostile.gets, _FLOOD / _GETS),
    "floods of lists": (Hostile.lists, _FLOOD / _LISTS),
    "dead registry": (Hostile.dead_registry, 3.0),
    "remote control": (Hostile.remote_control, 1.0),
}
"""What all callers of a kind do together, and how many seconds are between, on average."""
_FLOODS: Final = ("malformed", "floods of gets", "floods of lists", "dead registry")
ANSWERED: Final = ("huge", "wrong types", "out of policy", "taken ports")
"""Those whose sender waits for the refusal."""
