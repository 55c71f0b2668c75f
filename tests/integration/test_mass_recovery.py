"""Many pods lose their containers at once: the most recently used is back first, and no request waits."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

PODS: Final = tuple(f"mass-{number:02}" for number in range(24))
SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    """Two repairs at a time, so that there is a queue; while the worker is away, it gets no events."""
    with own_stack(scratch, {**settings, "PINACLE_RECONCILE_CONCURRENCY": "2"}) as stack:
        yield stack
        for sent in [stack.client.send("delete", pod_id) for pod_id in PODS]:
            assert stack.client.outcome(sent) == "deleted"


def test_pods_that_were_used_last_come_back_first_and_a_stop_is_not_held_up(stack: Stack) -> None:
    for sent in [stack.client.send("create", pod_id, SPEC) for pod_id in PODS]:
        assert stack.client.outcome(sent) == "running"
    last, first = PODS[3], PODS[7]
    stack.client.call("restart", first)
    stack.client.call("restart", last)
    stack.worker.stop()
    stack.engine.docker("rm", "-f", *(f"pinacle-pod-{pod_id}" for pod_id in PODS[:-1]))
    stack.worker.start()
    wait_until(lambda: "recovering" in stack.client.call("list"), 20, what="a recovery that is shown")
    assert Pod(stack.client, stack.engine, PODS[-1]).call("stop")["phase"] == "stopped"
    progress = stack.client.call("list")["recovering"]
    assert 0 < progress["left"] <= progress["repairs"] <= len(PODS), "the stop did not wait for the others"
    wait_until(lambda: len(repaired(stack)) == len(PODS) - 1, 90, what="all pods")
    assert set(repaired(stack)[:2]) == {last, first}


def repaired(stack: Stack) -> list[str]:
    """Return whose containers were made again, in order: a record that says `running` may be older."""
    return [
        line.partition('"pod_id": "')[2].partition('"')[0]
        for line in stack.worker.text().splitlines()
        if '"event": "pod_reconciled"' in line and '"create_container"' in line and "begin_fill" not in line
    ]
