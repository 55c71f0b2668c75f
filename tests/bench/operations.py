"""One pod at a time, many at once, and many lost at once: ours beside the floor, a script and Compose."""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic, time
from typing import Final

from tests.bench.contenders import Contender, Ours, lose
from tests.bench.events import watched
from tests.bench.machine import Disturbances
from worker.local.private_engine import PrivateEngine

Times = dict[str, dict[str, list[float]]]
"""Operation to contender to seconds, one for each round."""
LIFE: Final = ("create", "stop", "start", "recover")
DELETION: Final = ("delete",)


class Course:
    """Runs rounds in which the contenders take turns, and notes how long each took."""

    def __init__(self, engine: PrivateEngine, noise: Disturbances, tell: Callable[[str], None]) -> None:
        """`tell` is called with the progress."""
        self._engine = engine
        self._noise = noise
        self._tell = tell

    def one(self, contenders: Sequence[Contender], rounds: int) -> Times:
        """Return how long each operation takes on one pod; a round before the first warms everything up.

        All are deleted at the end. A file system that has just deleted many files is slower to make new ones:
        for a while, ext4 does not use an inode again, and searches past it.
        """
        self._tell("one pod: a round to warm up")
        self._turn(contenders, LIFE, ["warm-up"], _times())
        found = self._rounds("one pod", LIFE, contenders, rounds)
        self._turn(contenders, DELETION, ["warm-up"], _times())
        return found | self._rounds("one pod, deleted", DELETION, contenders, rounds)

    def many(self, contenders: Sequence[Contender], rounds: int, pods: int) -> Times:
        """Return how long each operation takes on this many pods at once."""
        return self._rounds(f"{pods} pods at once", LIFE + DELETION, contenders, rounds, pods=pods)

    def lost(self, contenders: Sequence[Contender], rounds: int, count: int) -> Times:
        """Return how long it takes until this many pods run again whose containers all vanish at once.

        Ours gets no request: it sees that they are gone.
        """
        found, pods = _times(), [f"lost{number}" for number in range(count)]
        for contender in contenders:
            self._tell(f"{count} pods lost at once: {contender.name} makes its own")
            contender.create(pods)
        for number in range(1, rounds + 1):
            self._tell(f"{count} pods lost at once: round {number} of {rounds}")
            with self._noise.round(f"{count} pods lost at once"):
                for contender in _rotated(contenders, number):
                    found["recover"][contender.name].append(self._recovery(contender, pods))
        for contender in contenders:
            contender.delete(pods)
        return found

    def _rounds(
        self,
        title: str,
        operations: Sequence[str],
        contenders: Sequence[Contender],
        rounds: int,
        *,
        pods: int = 1,
    ) -> Times:
        found = _times()
        for number in range(1, rounds + 1):
            self._tell(f"{title}: round {number} of {rounds}")
            names = [f"of{pods}-{number}-{pod}" for pod in range(pods)]
            with self._noise.round(title):
                self._turn(_rotated(contenders, number), operations, names, found)
        return found

    def _turn(
        self,
        contenders: Sequence[Contender],
        operations: Sequence[str],
        pods: Sequence[str],
        found: Times,
    ) -> None:
        """Let all do one operation before any does the next, so that conditions are the same for all."""
        for operation in operations:
            for number, contender in enumerate(contenders):
                own = [f"{pod}-{number}" for pod in pods]
                if operation == "recover":
                    lose(self._engine, contender, own)
                # What one contender wrote must not be written to the disk at another's expense.
                os.sync()
                began = monotonic()
                getattr(contender, operation)(own)
                found[operation][contender.name].append(monotonic() - began)

    def _recovery(self, contender: Contender, pods: Sequence[str]) -> float:
        wanted = {contender.container(pod) for pod in pods}
        os.sync()
        with watched(self._engine) as events:
            lose(self._engine, contender, pods)
            began = time()
            if not isinstance(contender, Ours):
                contender.recover(pods)
            # Nobody asks the Engine meanwhile: that would take processor time from one contender only.
            for event in events:
                if event["Action"] == "start":
                    wanted.discard(event["Actor"]["Attributes"]["name"])
                if not wanted:
                    return float(event["timeNano"] / 1e9 - began)
        raise EOFError("the Engine's events ended before all pods ran")


def _rotated(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Return them in their order, beginning with another one in each round."""
    first = number % len(contenders)
    return [*contenders[first:], *contenders[:first]]


def _times() -> Times:
    return defaultdict(lambda: defaultdict(list))
