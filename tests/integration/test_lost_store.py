"""Redis loses everything: each host tells it anew what it has, and nothing is removed or made twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.local.images import import_busybox
from worker.local.waiting import wait_until

SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-database",
    "stop_timeout_s": 1,
    "env": {"GREETING": "hello"},
    "ports": [{"container": 80}],
    "tier": "dev.medium",
}


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        import_busybox(stack.engine, "pinacle-database", changes=("VOLUME /var/lib/db",))
        yield stack


@pytest.fixture
def pods(stack: Stack) -> Iterator[dict[str, Pod]]:
    """One that runs, one that is stopped, and one that will have lost its container."""
    pods = {pod_id: Pod(stack.client, stack.engine, pod_id) for pod_id in ("runs", "rests", "orphan")}
    for pod_id, pod in pods.items():
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        pod.sh(f"echo {pod_id} | tee /root/file > /var/lib/db/file")
    pods["rests"].call("stop")
    yield pods
    for pod_id in [*pods, "new"]:
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def test_a_worker_that_finds_the_store_empty_rebuilds_its_host_first(
    stack: Stack, pods: dict[str, Pod]
) -> None:
    before = {pod_id: (pod.container_id(), pod.call("get")) for pod_id, pod in pods.items()}
    stack.worker.stop()
    pods["orphan"].lose_container()
    stack.redis.flush()
    stack.worker.start()
    answer = stack.client.call("list", orphans=True)
    assert {pod["pod_id"]: pod["phase"] for pod in answer["pods"]} == {"runs": "running", "rests": "stopped"}
    assert [(orphan["pod_id"], len(orphan["volumes"])) for orphan in answer["orphans"]] == [("orphan", 9 + 4)]
    for pod_id in ("runs", "rests"):
        container_id, old = before[pod_id]
        assert pods[pod_id].container_id() == container_id
        new = pods[pod_id].call("get")
        for key in ("spec", "ports", "volumes", "image", "container_id", "host"):
            assert new[key] == old[key], key
    stack.client.call("reconcile")
    assert pods["runs"].container_id() == before["runs"][0], "what was rebuilt is no other spec"
    assert pods["rests"].call("start")["phase"] == "running"
    assert pods["rests"].sh("cat /root/file /var/lib/db/file; echo $GREETING") == "rests\nrests\nhello"
    assert stack.client.call("create", "orphan", SPEC)["phase"] == "running"
    assert pods["orphan"].sh("cat /root/file /var/lib/db/file") == "orphan\norphan"


def test_a_store_that_is_lost_while_the_worker_runs_is_rebuilt_before_an_unknown_pod_is_made(
    stack: Stack, pods: dict[str, Pod]
) -> None:
    """A creation of a pod that is there does not make it anew."""
    container_id = pods["runs"].container_id()
    stack.redis.flush()
    text = stack.client.error("create", "runs", {**SPEC, "ports": []})
    assert text.startswith("PodExistsError"), text
    wait_until(lambda: stack.phases().keys() == pods.keys(), 20, what="all three pods")
    assert pods["runs"].container_id() == container_id


def test_where_hosts_share_a_store_all_have_to_report_first(stack: Stack, scratch: Path) -> None:
    """A pod that is not known could be the other host's."""
    stack.worker.stop()
    stack.redis.flush()
    shared = WorkerProcess(scratch, {**stack.worker.settings, "PINACLE_HOSTS": "vm,elsewhere"}, "shared")
    shared.start()
    try:
        text = stack.client.error("create", "new", SPEC)
        assert text.startswith("HostsSilentError: pod_id: pod 'new' is not known")
        assert "elsewhere" in text
    finally:
        shared.stop()
        stack.worker.start()
