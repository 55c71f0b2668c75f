"""One pod at a time, twenty at once, and fifty lost at once: ours beside the floor, a script and Compose."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from tests.bench.contenders import Contender, lose
from worker.local.engine import PrivateEngine

Times = dict[str, dict[str, list[float]]]
"""Operation to contender to seconds, one for each round."""
OPERATIONS: Final = ("create", "stop", "start", "recover", "delete")


def one_at_a_time(engine: PrivateEngine, contenders: Sequence[Contender], rounds: int) -> Times:
    """Return how long each operation takes on one pod; the contenders take turns."""
    return _rounds(engine, contenders, rounds, lambda number: [f"one{number}"], OPERATIONS)


def at_once(engine: PrivateEngine, contenders: Sequence[Contender], rounds: int, pods: int) -> Times:
    """Return how long it takes for many pods at once."""
    return _rounds(
        engine,
        contenders,
        rounds,
        lambda number: [f"many{number}x{pod}" for pod in range(pods)],
        ("create", "recover", "delete"),
    )


def _rounds(
    engine: PrivateEngine,
    contenders: Sequence[Contender],
    rounds: int,
    pods: Callable[[int], list[str]],
    operations: Sequence[str],
) -> Times:
    found: Times = {operation: defaultdict(list) for operation in operations}
    for number in range(rounds + 1):
        for contender in contenders:
            for operation in operations:
                if operation == "recover":
                    lose(engine, contender, pods(number))
                began = monotonic()
                getattr(contender, operation)(pods(number))
                if number:  # the first round warms everybody up
                    found[operation][contender.name].append(monotonic() - began)
    return found
