"""A worker of the first commit makes pods, today's takes over, then the first again: no pod restarts."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.engines import tables
from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from tests.upgrade.older import FIRST, Older
from tests.upgrade.situations import LAST_SPECS, UP, arrange
from worker.local.waiting import wait_until

SETTINGS: Final = {
    "PINACLE_RECONCILE_INTERVAL_S": "2",
    "PINACLE_MIN_FREE_MB": "100",
    "PINACLE_LOG_FORMAT": "json",
}


@pytest.fixture(scope="module")
def older(scratch: Path) -> Older:
    older = Older.unpack(FIRST, scratch / "older")
    if older is None:
        pytest.skip("there is no history here, as in a tarball: the earlier commit cannot be had")
    return older


@pytest.fixture
def stack(scratch: Path, older: Older) -> Iterator[Stack]:
    with own_stack(scratch, SETTINGS, make_worker=older.worker) as stack:
        yield stack


def test_today_s_worker_takes_over_and_the_older_one_once_more(
    stack: Stack, older: Older, tmp_path: Path
) -> None:
    """At each change of workers all containers and files are the same, and every task is done."""
    pods = arrange(stack)
    before, listed = _running(pods), _listed(stack)
    stack.worker.stop()

    today = WorkerProcess(tmp_path, stack.worker.settings, "today")
    today.start()
    try:
        assert "egress_open" in today.text(), "these pods may need what they reached until now"
        assert tables(stack.engine) == []
        assert _listed(stack) == listed
        _create_again(stack, UP)
        stack.client.call("reconcile")
        stack.client.call("reconcile")
        assert _running(pods) == before, "an upgrade restarts no pod"
        assert "PodExistsError" in stack.client.error("create", "plain", LAST_SPECS["kept"])
        for pod_id in ("every-key", "kept"):
            _stop_start_and_lose(pods[pod_id])
        assert pods["kept"].sh("cat /data/file /x-y/file") == "mine\nmine"
        assert pods["stopped"].call("start")["phase"] == "running"
        assert pods["stopped"].sh("cat /root/file") == "stopped"
        for pod_id in ("restored", "crashing", "failing", "deleted"):
            assert pods[pod_id].call("delete")["phase"] == "deleted"
        before, listed = _running(pods), _listed(stack)
    finally:
        today.stop()

    stack.worker.start()
    assert _listed(stack) == listed
    _create_again(stack, before)
    stack.client.call("reconcile")
    assert _running(pods) == before, "and neither does the way back"
    _stop_start_and_lose(pods["kept"])
    assert pods["kept"].sh("cat /data/file /x-y/file") == "mine\nmine"
    sent = [stack.client.send("delete", pod_id) for pod_id in pods]
    assert {stack.client.outcome(message) for message in sent} == {"deleted"}
    left = stack.engine.docker("volume", "ls", "-q").split()
    assert not [name for name in left if name.startswith("pinacle-vol-")]


def _create_again(stack: Stack, pod_ids: Iterable[str]) -> None:
    """Ask for pods as they are: nothing has to be done."""
    sent = {pod_id: stack.client.send("create", pod_id, LAST_SPECS[pod_id]) for pod_id in pod_ids}
    for pod_id, message in sent.items():
        assert stack.client.receive(message)["steps"] == [], pod_id


def _stop_start_and_lose(pod: Pod) -> None:
    """Stop and start a pod, then remove its container: its files are there each time."""
    assert pod.call("stop")["phase"] == "stopped"
    assert pod.call("start")["phase"] == "running"
    _assert_files(pod)
    pod.lose_container()
    pod.wait_for_another_container()
    wait_until(lambda: pod.call("get")["phase"] == "running", 20, what=f"{pod.id} noted as running")
    _assert_files(pod)


def _assert_files(pod: Pod) -> None:
    found = pod.engine.docker("exec", "-u", "0", pod.container, "cat", "/root/file", "/usr/bin/mine")
    assert found.split() == [pod.id, pod.id]


def _running(pods: dict[str, Pod]) -> dict[str, tuple[str, str]]:
    """Return id and start time of each running container."""
    ids = {pod_id: each for pod_id, pod in pods.items() if (each := pod.container_id())}
    found = json.loads(next(iter(pods.values())).engine.docker("inspect", *ids.values()))
    running = {each["Id"]: each["State"]["StartedAt"] for each in found if each["State"]["Running"]}
    return {pod_id: (each, running[each]) for pod_id, each in ids.items() if each in running}


def _listed(stack: Stack) -> dict[str, Any]:
    """Return what `pods.list` says of all pods at rest, in the keys that the older worker knows."""
    keys = ("intent", "generation", "phase", "container_id", "image", "volumes", "ports", "restarts", "spec")
    pods = stack.client.call("list")["pods"]
    return {
        pod["pod_id"]: {key: pod[key] for key in keys}
        for pod in pods
        if pod["pod_id"] not in {"crashing", "failing"}
    }
