"""Redis loses everything: each host reports its pods again, and nothing is removed or made twice."""

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
        import_busybox(stack.engine, "pinacle-staged", changes=("ENV STAGE=image", "VOLUME /a /var/lib/db"))
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
    stack: Stack, pods: dict[str, Pod], system_names: tuple[str, ...]
) -> None:
    before = {pod_id: (pod.container_id(), pod.call("get")) for pod_id, pod in pods.items()}
    stack.worker.stop()
    pods["orphan"].lose_container()
    stack.redis.flush()
    stack.worker.start()
    answer = stack.client.call("list", orphans=True)
    assert {pod["pod_id"]: pod["phase"] for pod in answer["pods"]} == {"runs": "running", "rests": "stopped"}
    orphans = [(orphan["pod_id"], len(orphan["volumes"])) for orphan in answer["orphans"]]
    assert orphans == [("orphan", 9 + len(system_names))]
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
    """Creating a pod that exists does not make it again."""
    container_id = pods["runs"].container_id()
    stack.redis.flush()
    text = stack.client.error("create", "runs", {**SPEC, "ports": []})
    assert text.startswith("PodExistsError"), text
    wait_until(lambda: stack.phases().keys() == pods.keys(), 20, what="all three pods")
    assert pods["runs"].container_id() == container_id


def test_what_changed_since_a_container_was_made_is_rebuilt_or_reported(
    stack: Stack, runtime: str | None
) -> None:
    """The container stays; what cannot be known is named, until a creation brings the pod's spec."""
    spec = {"image": "pinacle-staged", "env": {"STAGE": "image", "NAME": "ä"}, "hostname": "later"}
    live = {**spec, "tier": "dev.xlarge", "restart": "never", "stop_timeout_s": 300}
    with Pod.running(stack.client, stack.engine, "live", {**spec, "image": "pinacle-busybox"}) as pod:
        pod.sh("mkdir /data && echo mine > /data/file")
        assert pod.call("update", spec)["phase"] == "running"
        assert pod.call("update", live)["phase"] == "running"
        before, container_id = pod.call("get"), pod.container_id()
        _lose_redis(stack)
        stack.client.call("reconcile")
        rebuilt = pod.call("get")
        assert pod.container_id() == container_id, "a rebuild leaves every running container alone"
        for key in ("volumes", "image", "ports", "host", "container_id", "system_volumes"):
            assert rebuilt[key] == before[key], key
        # Under gVisor another tier takes another container, whose labels have all that was asked for with it.
        lost = {"restart": "always", "stop_timeout_s": 10} if runtime is None else {}
        assert rebuilt["spec"] == before["spec"] | lost
        assert rebuilt["unsure"] == ["restart", "stop_timeout_s", "labels", "description"]
        answer = pod.call("create", live)
        assert (answer["steps"], answer["unsure"], answer["spec"]) == ([], [], before["spec"])
        assert pod.container_id() == container_id
        text = stack.client.error("create", "live", {**live, "tier": "dev.small"})
        assert text.startswith("PodExistsError"), text
        pod.call("update", {**live, "stop_timeout_s": 1})


def test_folders_that_were_kept_are_there_again_without_record_and_container(stack: Stack) -> None:
    """They are never hidden below an image's directory, and never made again over their content."""
    spec = {"image": "pinacle-busybox", "stop_timeout_s": 1}
    with Pod.running(stack.client, stack.engine, "kept", spec) as pod:
        pod.sh("mkdir /data && echo mine > /data/file")
        assert pod.call("update", {**spec, "hostname": "later"})["phase"] == "running"
        assert pod.sh("cat /data/file") == "mine"
        stack.worker.stop()
        pod.lose_container()
        stack.redis.flush()
        stack.worker.start()
        answer = pod.call("create", spec)
        assert answer["phase"] == "running"
        assert "/data" in [volume["path"] for volume in answer["volumes"]]
        assert pod.sh("cat /data/file") == "mine"


def test_one_container_that_cannot_be_read_stops_no_other(stack: Stack) -> None:
    """It is left as it is, and shown among the orphans."""
    spec = {"image": "pinacle-busybox", "stop_timeout_s": 1}
    labels = ("dev.pinacle.installation=pinacle", "dev.pinacle.spec={")
    with Pod.running(stack.client, stack.engine, "sound", spec) as pod:
        flags = [word for label in (*labels, "dev.pinacle.pod=bad") for word in ("--label", label)]
        stack.engine.docker("run", "-d", "--name", "pinacle-pod-bad", *flags, "pinacle-busybox")
        container_id = pod.container_id()
        _lose_redis(stack)
        answer = stack.client.call("list", orphans=True)
        assert [each["pod_id"] for each in answer["pods"]] == ["sound"]
        assert [each["pod_id"] for each in answer["orphans"]] == ["bad"]
        assert pod.container_id() == container_id
        assert Pod(stack.client, stack.engine, "bad").is_up()
        stack.engine.docker("rm", "-f", "pinacle-pod-bad")


def _lose_redis(stack: Stack) -> None:
    stack.worker.stop()
    stack.redis.flush()
    stack.worker.start()


def test_if_hosts_share_a_store_all_have_to_report_first(stack: Stack, scratch: Path) -> None:
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
