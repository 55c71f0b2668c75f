"""PostgreSQL under load while everything around it is killed: what it acknowledged is there."""

from collections.abc import Callable, Iterator
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CACHE
from tests.images.database import SPEC, Database, Journal, import_postgresql
from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

ENOUGH: Final = 25
"""Transactions that each client gets acknowledged before the next kill."""


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, {**settings, "PINACLE_SYSTEM_VOLUMES": "off"}) as stack:
        import_postgresql(stack.engine, CACHE)
        yield stack


def kill_engine(stack: Stack, _pod: Pod) -> None:
    stack.engine.kill()
    stack.engine.start()


def kill_container(stack: Stack, pod: Pod) -> None:
    """Kill it; it comes back by itself, or at once if somebody asks for it."""
    stack.engine.docker("kill", pod.container)
    pod.call("restart")


def kill_redis(stack: Stack, _pod: Pod) -> None:
    stack.redis.kill()
    stack.redis.start()


def lose_container(_stack: Stack, pod: Pod) -> None:
    pod.lose_container()


KILLS: Final[tuple[Callable[[Stack, Pod], None], ...]] = (
    kill_engine,
    kill_container,
    kill_redis,
    lose_container,
)


@pytest.mark.timeout(900)
def test_no_transaction_that_postgresql_acknowledged_is_lost(
    stack: Stack, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Whether its container, the Engine or Redis is killed; two rounds here, twenty in `make zoo`."""
    rounds = 20 if request.config.getoption("--zoo") else 2
    with Pod.running(stack.client, stack.engine, "postgresql", SPEC) as pod:
        database = Database(pod)
        wait_until(database.answers, 60, what="PostgreSQL")
        database.prepare()
        journals = [Journal(pod, tmp_path / f"journal-{number}", number) for number in (1, 2)]
        for journal in journals:
            journal.start()
        try:
            for number, kill in enumerate(islice(cycle(KILLS), rounds)):
                database.begin_load()
                _wait_for_more(journals)
                kill(stack, pod)
                wait_until(database.answers, 90, what=f"PostgreSQL after {kill.__name__}")
                acknowledged = set(chain.from_iterable(list(journal.acknowledged) for journal in journals))
                assert acknowledged - database.numbers() == set(), kill.__name__
                print(
                    f"{number + 1}. {kill.__name__}: {len(acknowledged)} acknowledged, none lost", flush=True
                )
        finally:
            for journal in journals:
                journal.end()
        noted = {int(line) for file in tmp_path.glob("journal-*") for line in file.read_text().split()}
        assert noted - database.numbers() == set()
        pod.call("restart", force=True)
        wait_until(database.answers, 60, what="PostgreSQL")
        assert noted - database.numbers() == set()
        assert len(set(database.sums())) == 1, database.sums()
        print(f"\n{rounds} kills, {len(noted)} acknowledged, {database.transactions()} of pgbench: none lost")


def _wait_for_more(journals: list[Journal]) -> None:
    wanted = [len(journal.acknowledged) + ENOUGH for journal in journals]

    def are_there() -> bool:
        return all(len(each.acknowledged) >= count for each, count in zip(journals, wanted, strict=True))

    wait_until(are_there, 60, what=f"{ENOUGH} transactions of each client")
