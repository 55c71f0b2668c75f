"""The storage under the Engine goes away and comes back: nothing is made in its place meanwhile."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
PODS: Final = ("one", "two", "three")


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        yield stack


def volumes(stack: Stack) -> list[str]:
    return stack.engine.docker("volume", "ls", "-q").split()


def swap(stack: Stack, folder: Path) -> None:
    """Stop the Engine, put what lies beside a folder in its place, and start it again."""
    stack.engine.stop()
    beside = folder.with_name("beside")
    spare = folder.with_name("spare")
    beside.mkdir(exist_ok=True)
    folder.rename(spare)
    beside.rename(folder)
    spare.rename(beside)
    stack.engine.start()


@pytest.mark.parametrize("part", ["data root", "volumes"])
def test_nothing_is_made_while_the_storage_is_another(stack: Stack, part: str) -> None:
    """An unmounted disk leaves an empty folder: every pod waits, says why, and is back with the disk."""
    data = stack.engine.data_root
    folder = data if part == "data root" else data / "volumes"
    for pod_id in PODS:
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        Pod(stack.client, stack.engine, pod_id).sh(f"echo {pod_id} > /root/file")
    before = volumes(stack)
    swap(stack, folder)
    wait_until(lambda: set(stack.phases().values()) == {"storage_missing"}, 60, what="missing storage")
    assert stack.client.error("create", "another", SPEC).startswith("StorageMissingError: host ")
    for task in ("start", "restart", "stop", "delete"):
        answer = stack.client.call(task, "three")
        assert "does not have its storage" in answer["last_error"], answer
        assert "Check that the disk" in answer["last_error"]
    assert stack.client.call("reconcile")["repaired"] == 0
    assert volumes(stack) == []
    assert '"event": "storage_missing"' in stack.worker.text()
    swap(stack, folder)
    wait_until(lambda: stack.phases() == {"one": "running", "two": "running"}, 60, what="pods that are back")
    for pod_id in ("one", "two"):
        assert Pod(stack.client, stack.engine, pod_id).sh("cat /root/file") == pod_id
    assert volumes(stack) == [name for name in before if "-three-" not in name], "the deletion was accepted"
    assert '"event": "storage_back"' in stack.worker.text()
    for pod_id in ("one", "two"):
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def test_another_storage_is_taken_when_a_person_says_so(stack: Stack) -> None:
    """Then each pod whose volumes are gone says which is missing, and new pods can be made."""
    assert stack.client.call("create", "one", SPEC)["phase"] == "running"
    swap(stack, stack.engine.data_root / "volumes")
    wait_until(lambda: stack.phases() == {"one": "storage_missing"}, 60, what="missing storage")
    host = stack.client.call("get", "one")["host"]
    assert stack.client.call_task("hosts.accept_storage", host)["host"] == host
    wait_until(
        lambda: "volume pinacle-vol-one-" in stack.client.call("get", "one")["last_error"],
        20,
        what="the missing volume's name",
    )
    assert stack.client.call("create", "two", SPEC)["phase"] == "running"
    assert stack.client.call("get", "one")["phase"] == "storage_missing"
    for pod_id in ("one", "two"):
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def test_a_single_missing_volume_stops_its_pod_and_no_other(stack: Stack) -> None:
    """It is named, and the pod goes on once it was restored under its labels."""
    for pod_id in ("one", "two"):
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
    one = Pod(stack.client, stack.engine, "one")
    one.call("stop")
    stack.engine.docker("rm", one.container)
    stack.engine.docker("volume", "rm", "pinacle-vol-one-opt")
    assert one.call("start")["phase"] == "storage_missing"
    wait_until(lambda: stack.phases() == {"one": "storage_missing", "two": "running"}, 30, what="one missing")
    assert "pinacle-vol-one-opt" not in volumes(stack)
    answer = one.call("get")
    assert "volume pinacle-vol-one-opt (/opt) is missing" in answer["last_error"]
    labels = answer["last_error"].partition("volume create ")[2].rstrip("`").split()
    stack.engine.docker("volume", "create", *labels)
    wait_until(lambda: stack.phases() == {"one": "running", "two": "running"}, 30, what="both running")
    for pod_id in ("one", "two"):
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def test_all_containers_are_lost_while_everything_is_off(stack: Stack) -> None:
    """As after a restart of a Lima VM: the storage is recognised by its volume, and all pods come back."""
    for pod_id in PODS:
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        Pod(stack.client, stack.engine, pod_id).sh(f"echo {pod_id} > /root/file")
    stack.worker.kill()
    stack.engine.stop()
    for folder in (stack.engine.data_root / "containers").iterdir():
        shutil.rmtree(folder)
    stack.engine.start()
    stack.worker.start()
    for pod_id in PODS:
        pod = Pod(stack.client, stack.engine, pod_id)
        pod.wait_for_another_container()
        assert pod.sh("cat /root/file") == pod_id
    assert "Traceback" not in stack.worker.text()


def test_the_data_root_moves(stack: Stack) -> None:
    """Its pods are known in the new place, and what was installed into `/usr` comes along."""
    engine, files = stack.engine, ("/root/file", "/etc/file", "/usr/bin/file", "/lib/file")
    for pod_id in PODS:
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        Pod(stack.client, engine, pod_id).sh("; ".join(f"echo {pod_id} > {path}" for path in files))
    assert stack.client.call("stop", "three")["phase"] == "stopped"
    old = engine.data_root
    engine.stop()
    engine.data_root = old.rename(engine.root / "moved")
    engine.start()
    wait_until(
        lambda: stack.phases() == {"one": "running", "two": "running", "three": "stopped"},
        60,
        what="the pods as they were",
    )
    assert stack.client.call("start", "three")["phase"] == "running"
    for pod_id in PODS:
        pod = Pod(stack.client, engine, pod_id)
        wait_until(pod.is_up, 60, what=f"{pod_id}, running")
        assert pod.sh("cat " + " ".join(files)).split() == [pod_id] * len(files)
    for name in volumes(stack):
        assert f"{old}/" not in engine.docker("volume", "inspect", name), name
    for pod_id in PODS:
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"
