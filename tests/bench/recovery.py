"""All containers of many pods are lost at once: how long until all run again."""

from collections import defaultdict
from collections.abc import Sequence
from time import monotonic

from tests.bench.contenders import Contender, Ours, lose
from worker.local.engine import PrivateEngine
from worker.local.waiting import wait_until


def all_lost(
    engine: PrivateEngine, contenders: Sequence[Contender], rounds: int, count: int
) -> dict[str, list[float]]:
    """Return seconds by contender. Ours is told nothing: it sees that they are gone."""
    found: dict[str, list[float]] = defaultdict(list)
    pods = [f"lost{number}" for number in range(count)]
    for contender in contenders:
        contender.create(pods)
        for _ in range(rounds):
            lose(engine, contender, pods)
            began = monotonic()
            if not isinstance(contender, Ours):
                contender.recover(pods)
            _wait_for_all(engine, contender, pods)
            found[contender.name].append(monotonic() - began)
        contender.delete(pods)
    return found


def _wait_for_all(engine: PrivateEngine, contender: Contender, pods: Sequence[str]) -> None:
    wanted = {contender.container(pod) for pod in pods}
    wait_until(
        lambda: wanted <= set(engine.docker("ps", "--format", "{{.Names}}").split()),
        300,
        what=f"the {len(pods)} pods of {contender.name}",
    )
