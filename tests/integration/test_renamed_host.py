"""A host gets another name: its pods are recorded under the former one until a person decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1, "ports": [{"container": 80}]}


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, {**settings, "PINACLE_HOST_ID": "old"}) as stack:
        yield stack


def refusal(stack: Stack, task: str, *args: str) -> str:
    with pytest.raises(Exception, match="host") as raised:
        stack.client.call_task(task, *args)
    return str(raised.value)


def test_the_pods_of_a_renamed_host_come_along_when_a_person_says_so(stack: Stack, scratch: Path) -> None:
    """Before that, nothing is made beside them, and every answer says why; afterwards they are kept again."""
    pods = {pod_id: Pod(stack.client, stack.engine, pod_id) for pod_id in ("runs", "rests")}
    for pod_id, pod in pods.items():
        assert stack.client.call("create", pod_id, SPEC)["host"] == "old"
        pod.sh(f"echo {pod_id} > /root/file")
    ports = {pod_id: pod.call("get")["ports"] for pod_id, pod in pods.items()}
    pods["rests"].call("stop")
    storage = stack.engine.docker("volume", "inspect", "pinacle-storage-pinacle", "-f", "{{.Labels}}")
    stack.worker.stop()
    pods["runs"].lose_container()
    named = WorkerProcess(scratch, {**stack.worker.settings, "PINACLE_HOST_ID": "new"}, "named")
    named.start()
    try:
        assert "hosts.rename('old', 'new')" in named.text()
        text = stack.client.error("create", "another", SPEC)
        assert text.startswith("StorageMissingError: host new has the storage of host old"), text
        assert refusal(stack, "hosts.accept_storage", "new").startswith("host new has the storage")
        assert stack.client.call("reconcile")["pods"] == 0
        assert "hosts.rename('old', 'new')" in stack.client.call("start", "runs")["last_error"]
        for given, told in (
            (("never", "new"), "never"),
            (("old", "never"), "never"),
            (("new", "new"), "same"),
        ):
            assert told in refusal(stack, "hosts.rename", *given)
        answer = stack.client.call_task("hosts.rename", "old", "new")
        assert answer == {"former": "old", "host": "new", "pods": 2}
        pods["runs"].wait_for_another_container()
        wait_until(
            lambda: stack.phases() == {"runs": "running", "rests": "stopped"},
            30,
            what="the pods as they were",
        )
        assert pods["rests"].call("start")["phase"] == "running"
        for pod_id, pod in pods.items():
            found = pod.call("get")
            assert (found["host"], found["ports"]) == ("new", ports[pod_id])
            assert pod.sh("cat /root/file") == pod_id
        kept = stack.engine.docker("volume", "inspect", "pinacle-storage-pinacle", "-f", "{{.Labels}}")
        assert kept == storage
        assert stack.client.call("create", "another", SPEC)["host"] == "new"
        for pod_id in ("another", *pods):
            assert stack.client.call("delete", pod_id)["phase"] == "deleted"
    finally:
        named.stop()
