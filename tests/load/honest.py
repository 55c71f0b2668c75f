"""A caller that keeps one pod, times each call, and compares each answer with what it knows."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from random import Random
from time import sleep
from typing import Any, Final

from tests.load.answers import Broker, TaskFailedError
from tests.support.stack import Stack
from worker.local.waiting import wait_until

_SCRIPT: Final = "echo $MARK >> /workspace/marks; trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"
_WRITTEN_S: Final = 30.0
_COMES_S: Final = 120.0
_CATCH_UP: Final = 0.3
"""Chance that a pod which a short run left without any change gets one at the end."""


@dataclass
class Told:
    """What all honest callers observed."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Task to how long each call took."""
    pending: Counter[str] = field(default_factory=Counter)
    """Task to how many calls were answered before they were done."""
    wrong: list[str] = field(default_factory=list)
    """Answers, or data, that were not as they had to be, in words."""


class Honest:
    """One pod's owner: a thread that ends by deleting its pod."""

    def __init__(
        self,
        broker: Broker,
        told: Told,
        stack: Stack,
        pod_id: str,
        *,
        random: Random,
        think_s: float,
        leaves_within_s: float,
    ) -> None:
        """`think_s` is the mean time between two changes; there are questions in between.

        After the end the pod is deleted within `leaves_within_s`: owners do not all leave in one moment.
        """
        self.pod_id = pod_id
        self._broker, self._told, self._random, self._think_s = broker, told, random, think_s
        self._leaves_within_s = leaves_within_s
        self._stack = stack
        self._marks: list[str] = []
        """What the pod has written, one line at each start of a container."""
        self._versions = 0
        self._has_changed = False
        self._phase, self._tier = "deleted", "dev.small"

    def live(self, end: threading.Event) -> None:
        """Change the pod and ask about it until `end`, then delete it."""
        try:
            self._create()
            while not end.wait(self._random.expovariate(2 / self._think_s)):
                self._ask()
                if end.wait(self._random.expovariate(2 / self._think_s)):
                    break
                self._change()
            if not self._has_changed and self._random.random() < _CATCH_UP:
                for step in (self._ask, self._stop, self._update, self._start, self._resize, self._update):
                    step()
            sleep(self._random.uniform(0, self._leaves_within_s))
            self._delete()
        except Exception as error:  # noqa: BLE001 - it is reported, at the end, with all others
            self._say(f"{type(error).__name__}: {error}")

    def _change(self) -> None:
        self._has_changed = True
        if self._phase == "deleted":
            self._create()
        elif self._phase == "stopped":
            self._random.choice((self._start, self._start, self._update, self._delete))()
        else:
            self._random.choice((self._stop, self._stop, self._update, self._resize, self._delete))()

    def _create(self) -> None:
        self._versions += 1
        self._marks = [self._mark()]
        self._expect(self._call("create", self.pod_id, self._spec()), "create", "running")
        self._look()

    def _stop(self) -> None:
        self._expect(self._call("stop", self.pod_id), "stop", "stopped")
        self._look()

    def _start(self) -> None:
        self._marks.append(self._mark())
        self._expect(self._call("start", self.pod_id), "start", "running")
        self._look()

    def _update(self) -> None:
        """Change the environment, which means a new container: now, or at the start of a stopped pod."""
        self._versions += 1
        if self._phase == "running":
            self._marks.append(self._mark())
        self._expect(self._call("update", self.pod_id, self._spec()), "update", self._phase)
        self._look()

    def _resize(self) -> None:
        """Change the tier; the container stays."""
        self._tier = self._random.choice(("dev.small", "dev.medium"))
        self._expect(self._call("update", self.pod_id, self._spec()), "update", self._phase)
        self._look()

    def _delete(self) -> None:
        if self._phase == "deleted":
            return
        self._expect(self._call("delete", self.pod_id), "delete", "deleted")
        volumes = self._stack.engine.data_root / "volumes"
        left = [path.name for path in volumes.glob(f"pinacle-vol-{self.pod_id}-*")]
        if left:
            self._say(f"delete: {left} were left")

    def _ask(self) -> None:
        pods = {
            pod["pod_id"]: pod["phase"] for pod in self._call("list", queue="questions")["pods"]
        }  # also of others
        if self._phase == "deleted":
            if self.pod_id in pods:
                self._say(f"list: {pods[self.pod_id]}, it was deleted")
            return
        if pods.get(self.pod_id) != self._phase:
            self._say(f"list: {pods.get(self.pod_id)}, not {self._phase}")
        self._expect(self._call("get", self.pod_id, queue="questions"), "get", self._phase)
        self._look()

    def _expect(self, answer: dict[str, Any], task: str, phase: str) -> None:
        """Judge an answer; if many wait, it may be `pending` or `deleting`, and the change comes later."""
        if answer["phase"] in ("pending", "deleting") and task not in ("get", "list"):
            self._told.pending[task] += 1
            wait_until(lambda: self._get()["phase"] == phase, _COMES_S, what=f"{self.pod_id} is {phase}")
            answer = self._get()
        if answer["phase"] != phase or answer["pod_id"] != self.pod_id:
            self._say(f"{task}: {answer['pod_id']} {answer['phase']}, not {phase}; {answer['last_error']}")
        self._phase = phase

    def _get(self) -> dict[str, Any]:
        return self._call("get", self.pod_id, queue="questions")

    def _call(self, task: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            answer, seconds = self._broker.call(task, *args, **kwargs)
        except (TaskFailedError, TimeoutError) as error:
            raise RuntimeError(f"{task}: {type(error).__name__} {error}") from None
        self._told.seconds[task].append(seconds)
        found: dict[str, Any] = answer
        return found

    def _look(self) -> None:
        """Compare what is in the pod's volume with what its containers had to write."""
        path = self._stack.folder(self.pod_id, "workspace") / "marks"
        for _ in range(int(_WRITTEN_S / 0.1)):
            found = path.read_text().split() if path.exists() else []
            if found == self._marks:
                return
            sleep(0.1)
        self._say(f"its volume has {found}, and had to have {self._marks}")

    def _mark(self) -> str:
        return f"{self.pod_id}.{self._versions}"

    def _spec(self) -> dict[str, Any]:
        return {
            "image": "pinacle-busybox",
            "command": ["sh", "-c", _SCRIPT],
            "tier": self._tier,
            "env": {"MARK": self._mark()},
            "stop_timeout_s": 1,
            "init": False,
        }

    def _say(self, text: str) -> None:
        self._told.wrong.append(f"{self.pod_id}: {text}")
