"""Promise 10 against a model: kills at any instant, then quiet, and everything is as accepted."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom
from re import Match
from time import monotonic, sleep
from typing import Any, Final

import pytest
from redis import Redis

from tests.chaos.clients import Callers
from tests.chaos.lines import Lines
from tests.chaos.steps import StepLog, kinds
from tests.support.stack import Stack, own_stack
from worker.local.private_engine import EngineFailedError
from worker.local.processes import commands, end
from worker.local.waiting import wait_until

PODS: Final = tuple(f"chaos-{number}" for number in range(20))
QUIET_S: Final = 60.0
_REDELIVERED_S: Final = 120.0
"""Longer than a message of a killed worker stays with it."""
LONGER_S: Final = 180.0
"""How much longer it may go on until every kind of step was interrupted."""
_FORGOTTEN: Final = re.compile("already exists|file exists")
_TASK_FOLDER: Final = re.compile(r"mkdir (?P<path>\S+/moby/[0-9a-f]{64}): file exists")
_OURS: Final = ("pinacle-storage-", "pinacle-base-", "pinacle-helper-")
"""What belongs to no pod."""
ARMED_S: Final = 6.0
"""How long to wait for a step of the kind that is to be interrupted."""


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    """Deadlines short enough for many faults in a few minutes."""
    short = {
        "PINACLE_LOG_LEVEL": "debug",
        "PINACLE_STEP_DEADLINE_S": "6",
        "PINACLE_LEASE_TTL_S": "9",
        "PINACLE_TASK_WAIT_S": "8",
        "PINACLE_RECONCILE_INTERVAL_S": "5",
    }
    with own_stack(scratch, {**settings, **short}, proxied=True) as stack:
        yield stack


class Chaos:
    """Causes faults."""

    def __init__(self, stack: Stack, random: Random) -> None:
        self.stack, self.random = stack, random
        self.kinds = kinds(on_pool=stack.pool is not None)
        self.steps = StepLog(stack.worker.log)
        self.cuts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def one(self) -> None:
        """Cause one fault, and bring all parts back."""
        rarest = min(sorted(self.kinds), key=lambda kind: (self.cuts[kind], self.random.random()))
        fault = self.random.choices(
            [self.kill_worker, self.kill_redis, self.kill_engine, self.accident, self.cut_events],
            (8, 2, 1, 3, 1),
        )[0]
        if fault in (self.kill_worker, self.kill_redis, self.kill_engine):
            self._provoke(rarest)
            self.steps.wait_for(rarest, ARMED_S)
        fault()
        self.faults[fault.__name__] += 1

    def _provoke(self, kind: str) -> None:
        """Make steps happen that no caller asks for."""
        verb = {"record_exit": "kill", "unpause_container": "pause"}.get(kind)
        running = self.stack.engine.docker("ps", "--format", "{{.Names}}").split()
        if verb is not None and running:
            self._strike((verb,), self.random.choice(running))

    def _strike(self, verb: tuple[str, ...], container: str) -> None:
        try:
            self.stack.engine.docker(*verb, container)
        except EngineFailedError:
            self.faults["accident to no container"] += 1

    def kill_worker(self) -> None:
        self.steps.cut(self.stack.worker.kill, self.cuts)
        self.stack.worker.start()
        self.steps.forget()

    def kill_redis(self) -> None:
        self.steps.cut(self.stack.redis.kill, self.cuts)
        sleep(self.random.uniform(0, 2))
        self.stack.redis.start()

    def kill_engine(self) -> None:
        self.steps.cut(self.stack.engine.kill, self.cuts)
        sleep(self.random.uniform(0, 2))
        self.stack.engine.start()

    def is_over(self) -> bool:
        self.end_orphaned_tasks()
        return not _unlike(self.stack)

    def end_orphaned_tasks(self) -> None:
        """Do what our error tells a person to do: an Engine killed during a start can forget what it started.

        Such a pod reports that as long as necessary, and never gets a second container beside the first.
        """
        states = [record["state"] for record in _records(self.stack).values()]
        forgotten = [state for state in states if _FORGOTTEN.search(str(state.get("reason")))]
        ids = {state["container_id"] for state in forgotten}
        shims = [
            process
            for process, words in commands().items()
            if words and "containerd-shim" in words[0] and not ids.isdisjoint(words)
        ]
        end(shims)
        self.faults["orphaned task ended by hand"] += len(shims)
        for state in forgotten:
            self._remove_folder(_TASK_FOLDER.search(state["reason"]))

    def _remove_folder(self, named: Match[str] | None) -> None:
        # The pod goes on reporting it until it is tried again.
        if named is not None and Path(named["path"]).exists():
            subprocess.run(["rm", "-r", "--one-file-system", named["path"]], check=True)
            self.faults["folder of a task removed by hand"] += 1

    def cut_events(self) -> None:
        assert self.stack.proxy is not None
        self.stack.proxy.break_off("^GET /events")

    def accident(self) -> None:
        """Do something to one container, or to three, behind the system's back."""
        for _ in range(self.random.choice((1, 1, 3))):
            verb = self.random.choice((("rm", "-f"), ("kill",), ("kill",), ("pause",), ("stop", "-t", "0")))
            self._strike(verb, f"pinacle-pod-{self.random.choice(PODS)}")


@pytest.mark.timeout(0)
def test_p10_everything_is_killed_at_random_and_all_is_as_it_was_accepted(
    stack: Stack, request: pytest.FixtureRequest
) -> None:
    """No acknowledged line is missing, no volume is left over, and no container is doubled."""
    seed = request.config.getoption("--chaos-seed") or SystemRandom().randrange(10**6)
    seconds: float = request.config.getoption("--chaos-seconds")
    print(f"\nchaos: seed {seed}, {seconds:g} s, {len(PODS)} pods")
    chaos = Chaos(stack, Random(seed))
    lines = Lines(stack.folder, stack.redis.url)
    callers = Callers(stack.redis.url, PODS, seed)
    callers.start()
    try:
        end = monotonic() + seconds
        while monotonic() < end or (chaos.kinds - chaos.cuts.keys() and monotonic() < end + LONGER_S):
            sleep(chaos.random.uniform(0.2, 1.5))
            lines.watch(PODS)
            chaos.one()
    finally:
        callers.stop()
    chaos.end_orphaned_tasks()
    calm = monotonic()
    try:
        wait_until(chaos.is_over, QUIET_S, what="a world as it was accepted")
    except TimeoutError:
        pytest.fail(f"seed {seed}, {QUIET_S:g} s after the last fault: {_unlike(stack)}")
    _report(chaos, callers, lines, monotonic() - calm)
    records = _records(stack)
    for pod_id, (generation, kind) in callers.accepted.items():
        intent = records[pod_id]["intent"]
        assert intent["generation"] >= generation, f"seed {seed}: an accepted intent of {pod_id} is lost"
        if intent["generation"] == generation:
            assert intent["kind"] == kind, f"seed {seed}: {pod_id}"
    losses = lines.losses(PODS)
    assert not losses, f"seed {seed}: {losses}"
    spared = sorted(chaos.kinds - chaos.cuts.keys())
    assert not spared, f"seed {seed}: never interrupted: {spared}"
    _delete_all(stack)


def _unlike(stack: Stack) -> list[str]:
    """Return how the world differs from what was accepted; empty if it does not."""
    records = _records(stack)
    states: dict[str, str] = {}
    for line in stack.engine.docker("ps", "-a", "--format", "{{.Names}} {{.State}}").splitlines():
        name, state = line.split()
        states[name] = state
    names = stack.engine.docker("volume", "ls", "-q").split()
    volumes = {name for name in names if not name.startswith("pinacle-base-")}
    wanted_volumes = {"pinacle-storage-pinacle"}
    begun_volumes: set[str] = set()
    found = []
    for pod_id, record in records.items():
        kind, state = record["intent"]["kind"], states.pop(f"pinacle-pod-{pod_id}", "")
        if (kind == "running") != (state == "running") or (kind == "deleted" and state):
            found.append(f"{pod_id} should be {kind} and is {state!r}: {record['state'].get('reason')}")
        if kind != "deleted":
            for volume in record["state"].get("layout", ()):
                # A pod that was stopped in the middle of its first creation has some of its volumes.
                (wanted_volumes if volume["filled"] else begun_volumes).add(
                    f"pinacle-vol-{pod_id}-{volume['name']}"
                )
    found += [f"{name} is nobody's" for name in states if not name.startswith(_OURS)]
    if stack.pool is not None:
        kept = {pod_id for pod_id, each in records.items() if each["intent"]["kind"] != "deleted"}
        found += [
            f"subvolume {path.name} is nobody's"
            for path in (stack.pool.seen / "pods").iterdir()
            if path.name not in kept
        ]
    found += [f"volume {name} is missing" for name in sorted(wanted_volumes - volumes)]
    found += [f"volume {name} is nobody's" for name in sorted(volumes - wanted_volumes - begun_volumes)]
    return found


def _records(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return what is in Redis itself, rather than what the tasks say of it."""
    found = {}
    with Redis.from_url(stack.redis.url, decode_responses=True) as redis:
        for pod_id in PODS:
            fields: Any = redis.hgetall(f"pinacle:pod:{pod_id}")
            if fields:
                state = json.loads(fields.get("state", "{}"))
                found[pod_id] = {"intent": json.loads(fields["intent"]), "state": state}
    return found


def _report(chaos: Chaos, callers: Callers, lines: Lines, recovered_s: float) -> None:
    print(f"chaos: sent {dict(callers.sent)}")
    print(f"chaos: answered {dict(callers.answered)}")
    print(f"chaos: faults {dict(chaos.faults)}")
    print(f"chaos: steps interrupted {dict(sorted(chaos.cuts.items()))}")
    print(f"chaos: {lines.total()} lines acknowledged; all was well {recovered_s:.1f} s after the last fault")


def _delete_all(stack: Stack) -> None:
    """Delete all pods once no message is under way: one that was not accepted yet may make a pod again."""
    with Redis.from_url(stack.redis.url) as redis:
        wait_until(
            lambda: not redis.exists("unacked", *redis.keys("pods*"), *redis.keys("waiting*")),
            _REDELIVERED_S,
            what="the end of all messages",
        )
    for pod_id in PODS:
        stack.client.send("delete", pod_id)
    wait_until(lambda: not stack.phases(), 90, what="the end of all pods")
