"""A hundred callers at once: honest ones get right answers in time, and nothing grows or is left over."""

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom
from statistics import quantiles
from time import monotonic
from typing import Final

import pytest
from redis import Redis
from rich.console import Console
from rich.table import Table

from config.queues import shared_queues
from tests.integration.test_crowded import DEAD, dead_registry
from tests.load.answers import Broker
from tests.load.honest import Honest, Told
from tests.load.hostile import ANSWERED, HELD, KINDS, PORT, Done, Hostile
from tests.load.memory import Memory, Series
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

HONEST: Final = 34
MANY: Final = 6
"""Hostile callers of each kind: 66 of eleven kinds."""
LONG_S: Final = 300.0
"""From this on a run is long enough for bounds on time, and its user has a machine for it alone."""
LONGEST_S: Final = 2.0
LONGEST_IN_TESTS_S: Final = 90.0
GROWS: Final = 1.05
SPREAD_MB: Final = 5.0
SPREAD_IN_TESTS_MB: Final = 32.0
"""In half a minute the worker still warms up."""
THINK_S: Final = 30.0


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    """Answers are kept only for seconds, as Redis would otherwise rightly grow as long as they are kept."""
    mine = {
        "PINACLE_REGISTRIES": f"docker.io,{DEAD}",
        "PINACLE_RECONCILE_INTERVAL_S": "10",
        "PINACLE_RESULT_KEEP_S": "60",
    }
    with own_stack(scratch, {**settings, **mine}) as stack:
        yield stack


@pytest.mark.timeout(0)
def test_a_hundred_callers_honest_and_hostile(
    stack: Stack, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """No honest answer is wrong or late, no memory grows, no attack succeeds, nothing is left over."""
    seed = request.config.getoption("--load-seed") or SystemRandom().randrange(10**6)
    seconds: float = request.config.getoption("--load-seconds")
    console = Console(width=110)
    console.print(f"\nload: seed {seed}, {seconds:g} s, {HONEST} honest callers, {MANY * len(KINDS)} hostile")
    keeper = {"image": "pinacle-busybox", "ports": [{"container": 80, "host": PORT}], "stop_timeout_s": 0}
    assert stack.client.call("create", HELD, keeper)["phase"] == "running"
    pid, trap = stack.worker.pid, tmp_path / "unpickled"
    told, done = Told(), Done()
    with Redis.from_url(stack.redis.url) as redis, dead_registry(stack.engine):
        broker, memory = Broker(stack.redis.url), Memory(pid, redis, seconds / 100)
        try:
            _live(stack, broker, memory, told, done, seed=seed, seconds=seconds, trap=trap, console=console)
            _print(console, told, done, memory)
            _leave_nothing(stack, redis)
        finally:
            broker.close()
    assert (stack.worker.is_running(), stack.worker.pid) == (True, pid), f"seed {seed}"
    assert not told.wrong, f"seed {seed}: {told.wrong[:20]}"
    assert not done.wrong, f"seed {seed}: {done.wrong[:20]}"
    assert set(told.seconds) == {"create", "get", "list", "stop", "start", "update", "delete"}, f"seed {seed}"
    assert not trap.exists(), "a pickle was unpickled"
    assert not [kind for kind in KINDS if not done.sent[kind]], f"seed {seed}: {done.sent}"
    assert not [kind for kind in ANSWERED if not done.refused[kind]], f"seed {seed}: {done.refused}"
    traced = [line[:3000] for line in stack.worker.text().splitlines() if "Traceback" in line]
    assert not traced, traced[:3]
    is_long = seconds >= LONG_S
    longest = LONGEST_S if is_long else LONGEST_IN_TESTS_S
    spread = SPREAD_MB if is_long else SPREAD_IN_TESTS_MB
    late = {
        task: max(took) for task, took in told.seconds.items() if task != "create" and max(took) > longest
    }
    assert not late, f"seed {seed}: {late}"
    for name, series in (("the worker", memory.worker), ("Redis", memory.redis)):
        before, after = series.thirds()
        assert after < before * GROWS + spread, f"seed {seed}: {name} grew from {before} to {after} MB"


def _live(
    stack: Stack,
    broker: Broker,
    memory: Memory,
    told: Told,
    done: Done,
    *,
    seed: int,
    seconds: float,
    trap: Path,
    console: Console,
) -> None:
    """Let all callers work for a while; the honest ones delete their pods once the hostile ones are gone."""
    end_hostile, end_honest = threading.Event(), threading.Event()
    with Redis.from_url(stack.redis.url) as redis:
        hostile = [
            threading.Thread(
                target=Hostile(
                    broker,
                    redis,
                    done,
                    Random(f"{seed}/{kind}/{n}"),
                    trap=trap,
                    registry=DEAD,
                    many=MANY,
                    is_gentle=seconds < LONG_S,
                ).live,
                args=(kind, end_hostile),
            )
            for kind in KINDS
            for n in range(MANY)
        ]
        honest = [
            threading.Thread(
                target=Honest(
                    broker,
                    told,
                    stack,
                    f"load-{n}",
                    random=Random(f"{seed}/{n}"),
                    think_s=THINK_S,
                    leaves_within_s=min(THINK_S, seconds / 4),
                ).live,
                args=(end_honest,),
            )
            for n in range(HONEST)
        ]
        watch = threading.Thread(target=memory.watch, args=(end_hostile,))
        for thread in (*honest, watch, *hostile):
            thread.start()
        try:
            _progress(seconds, told, done, memory, redis=redis, console=console)
        finally:
            end_hostile.set()
            end_honest.set()
            for thread in (*hostile, watch, *honest):
                thread.join()


def _progress(
    seconds: float, told: Told, done: Done, memory: Memory, *, redis: Redis, console: Console
) -> None:
    began = monotonic()
    for part in range(1, 21):
        threading.Event().wait(max(0.0, began + seconds * part / 20 - monotonic()))
        honest = sum(len(took) for took in list(told.seconds.values()))
        mb = [series.mb[-1] if series.mb else 0.0 for series in (memory.worker, memory.redis)]
        waiting = sum(map(redis.llen, shared_queues()))
        console.print(
            f"load: {monotonic() - began:4.0f} s  honest {honest} ({len(told.wrong)} wrong)  hostile "
            f"{sum(done.sent.values())}  queue {waiting}  worker {mb[0]:.0f} MB  Redis {mb[1]:.0f} MB"
        )


def _print(console: Console, told: Told, done: Done, memory: Memory) -> None:
    calls = Table("honest call", "number", "median ms", "95 %", "99 %", "longest", "pending", title="load")
    for task, took in sorted(told.seconds.items()):
        cuts = quantiles(took, n=100, method="inclusive") if len(took) > 1 else [took[0]] * 99
        figures = (cuts[49], cuts[94], cuts[98], max(took))
        calls.add_row(
            task, str(len(took)), *(f"{seconds * 1000:.0f}" for seconds in figures), str(told.pending[task])
        )
    console.print(calls)
    sent = Table("hostile", "sent", "refusals waited for")
    for kind in KINDS:
        sent.add_row(kind, str(done.sent[kind]), str(done.refused[kind]) if kind in ANSWERED else "")
    console.print(sent)
    grown = Table("memory", "second third", "last third", "a minute, after the first third")
    rows: tuple[tuple[str, Series], ...] = (
        ("worker, MB", memory.worker),
        ("Redis besides answers, MB", memory.redis),
        ("answers, MB", memory.answers),
        ("keys that do not expire", memory.lasting_keys),
    )
    for name, series in rows:
        before, after = series.thirds()
        grown.add_row(name, f"{before:.1f}", f"{after:.1f}", f"{series.per_minute():+.2f}")
    console.print(grown)


def _leave_nothing(stack: Stack, redis: Redis) -> None:
    """Wait until the queues are empty, delete what hostile callers made, and look for leftovers."""
    wait_until(lambda: not redis.exists(*shared_queues()), 180, what="all messages taken")
    wait_until(lambda: redis.hlen("unacked") == 0, 180, what="all messages answered")
    for pod_id in stack.phases():
        stack.client.send("delete", pod_id)
    wait_until(lambda: not stack.phases(), 180, what="the end of all pods")
    containers = stack.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
    volumes = stack.engine.docker("volume", "ls", "-q").split()
    left = [n for n in (*containers, *volumes) if not n.startswith(("pinacle-storage-", "pinacle-base-"))]
    assert not left, f"left: {left}"
