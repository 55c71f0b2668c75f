"""What happened to other pods of this host lately. It distinguishes a failing Engine from a failing pod."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

_LATELY_S: Final = 120.0
"""Longer than the time between two tries of a pod that keeps failing."""
_OWN_TRIES: Final = 2
"""How often this process has to see a failure, so that other pods had time to meet the same."""


@dataclass
class _Seen:
    first_at: float
    last_at: float
    count: int = 1


class Peers:
    """Compares pods with each other, in the memory of one process.

    A failure that several pods meet in the same words is the host's, until the step that failed works for
    any of them. One that a single pod meets again and again is its own.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._failed: defaultdict[tuple[str, str], dict[str, _Seen]] = defaultdict(dict)
        """By step and text, then by pod."""
        self._worked_at: dict[str, float] = {}
        """When a step worked last, for any pod."""

    def worked(self, step: str) -> None:
        """Note that a step was done."""
        self._worked_at[step] = self._clock()

    def failed(self, pod_id: str, step: str, text: str) -> None:
        """Note that a step failed; `text` is the error without the parts that differ each time."""
        self._forget_old()
        now, seen = self._clock(), self._failed[step, text].get(pod_id)
        if seen is None:
            self._failed[step, text][pod_id] = _Seen(first_at=now, last_at=now)
        else:
            seen.last_at, seen.count = now, seen.count + 1

    def is_own(self, pod_id: str, step: str, text: str) -> bool:
        """Whether that failure is this pod's own, not the host's."""
        pods = self._failed[step, text]
        seen = pods.get(pod_id)
        if seen is None:
            return False
        if self._worked_at.get(step, seen.first_at) > seen.first_at:
            return True
        return len(pods) == 1 and seen.count >= _OWN_TRIES

    def _forget_old(self) -> None:
        oldest = self._clock() - _LATELY_S
        for key, pods in list(self._failed.items()):
            for pod_id in [each for each, seen in pods.items() if seen.last_at < oldest]:
                del pods[pod_id]
            if not pods:
                del self._failed[key]
