"""The storage under the Engine goes away and comes back: nothing is made in its place meanwhile."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

IMAGE: Final = "pinacle-busybox"
SPEC: Final = {"image": IMAGE, "stop_timeout_s": 1}
PODS: Final = ("one", "two", "three")


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        yield stack


def volumes(stack: Stack) -> list[str]:
    return stack.engine.docker("volume", "ls", "-q").split()


def swap(stack: Stack, folder: Path) -> None:
    """Stop the Engine, replace a folder by the one beside it, and start the Engine again."""
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


def test_another_storage_is_accepted_when_a_person_says_so(stack: Stack) -> None:
    """Then each pod whose volumes are gone says which one is missing, and new pods can be made."""
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


def lose(stack: Stack, pod_id: str, volume: str) -> None:
    """Remove a stopped pod's container and one of its volumes while no worker runs."""
    stack.worker.stop()
    stack.engine.docker("rm", f"pinacle-pod-{pod_id}")
    stack.engine.docker("volume", "rm", f"pinacle-vol-{pod_id}-{volume}")
    stack.worker.start()


def test_a_single_missing_volume_stops_its_pod_and_no_other(stack: Stack) -> None:
    """It is named, and the volume that is made for it counts once somebody confirms that it has its data."""
    for pod_id in ("one", "two"):
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
    one = Pod(stack.client, stack.engine, "one")
    one.call("stop")
    lose(stack, "one", "opt")
    assert one.call("start")["phase"] == "storage_missing"
    wait_until(lambda: stack.phases() == {"one": "storage_missing", "two": "running"}, 30, what="one missing")
    assert "pinacle-vol-one-opt" not in volumes(stack)
    answer = one.call("get")
    assert "volume pinacle-vol-one-opt (/opt) is missing" in answer["last_error"]
    line = re.search(r"`docker (volume create .*?)`", answer["last_error"])
    assert line is not None
    stack.engine.docker(*line[1].split())
    wait_until(lambda: "is being restored" in one.call("get")["last_error"], 20, what="a pass that sees it")
    assert one.call("start")["phase"] == "storage_missing", "its owner does not know of the data"
    assert stack.client.call("reconcile")["repaired"] == 0
    assert not one.is_up(), "it would run on an empty volume"
    stack.engine.docker("run", "--rm", "-v", "pinacle-vol-one-opt:/to", IMAGE, "sh", "-c", "echo > /to/back")
    assert one.call("restart", force=True)["phase"] == "running"
    assert one.sh("ls /opt") == "back"
    one.lose_container()
    one.wait_for_another_container()
    assert one.sh("ls /opt") == "back", "it was said once, and holds"
    for pod_id in ("one", "two"):
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def prune(stack: Stack) -> None:
    """Run everything that nobody should ever run."""
    stack.engine.docker("container", "prune", "-f")
    stack.engine.docker("volume", "prune", "-f", *all_volumes(stack))


def all_volumes(stack: Stack) -> list[str]:
    """Return the flags with which newer Engines remove named volumes too; 20.10 does so by default."""
    newer = int(stack.engine.docker("version", "-f", "{{.Server.Version}}").partition(".")[0]) >= 23
    return ["--all"] if newer else []


def test_a_stopped_pod_whose_container_was_pruned_keeps_its_volumes_at_the_next_prune(stack: Stack) -> None:
    """Within a pass it has a container that was never started, and is as stopped as before."""
    for pod_id in ("one", "two"):
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        Pod(stack.client, stack.engine, pod_id).sh(f"echo {pod_id} > /root/file; echo x > /usr/bin/mine")
    one = Pod(stack.client, stack.engine, "one")
    one.call("stop")
    before = one.container_id()
    stack.engine.docker("container", "prune", "-f")
    wait_until(
        lambda: one.container_id() not in {before, None}, 30, what="a container that holds the volumes"
    )
    wait_until(lambda: one.call("get")["phase"] == "stopped", 10, what="the pod at rest")
    assert stack.engine.docker("inspect", "-f", "{{.State.Status}}", one.container).strip() == "created"
    kept = volumes(stack)
    stack.engine.docker("volume", "prune", "-f", *all_volumes(stack))
    assert volumes(stack) == kept
    assert stack.phases() == {"one": "stopped", "two": "running"}
    assert one.call("start")["phase"] == "running"
    assert one.sh("cat /root/file /usr/bin/mine").split() == ["one", "x"]
    for pod_id in ("one", "two"):
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


def test_a_stopped_pod_whose_image_is_gone_stays_stopped_and_says_that_nothing_holds_it(stack: Stack) -> None:
    assert stack.client.call("create", "one", SPEC)["phase"] == "running"
    one = Pod(stack.client, stack.engine, "one")
    one.call("stop")
    stack.worker.stop()
    stack.engine.docker("rm", one.container)
    stack.engine.docker("rmi", "-f", IMAGE)
    stack.worker.start()
    wait_until(lambda: "image" in (one.call("get")["last_error"] or ""), 30, what="what is amiss")
    assert one.call("get")["phase"] == "stopped"
    assert one.container_id() is None
    assert stack.client.call("delete", "one")["phase"] == "deleted"


def test_all_that_is_never_to_be_run_was_run_and_only_what_it_took_is_gone(stack: Stack) -> None:
    """The running pod goes on, the other pods are not held up, and the sentinel is what it was."""
    for pod_id in ("one", "two"):
        assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
    two = Pod(stack.client, stack.engine, "two")
    two.sh("echo two > /root/file")
    stack.client.call("stop", "one")
    stack.worker.stop()
    container_id = two.container_id()
    sentinel = stack.engine.docker("volume", "inspect", "pinacle-storage-pinacle", "-f", "{{.Labels}}")
    prune(stack)
    assert "pinacle-storage-pinacle" not in volumes(stack)
    stack.worker.start()
    wait_until(lambda: stack.phases() == {"one": "storage_missing", "two": "running"}, 30, what="both")
    assert (
        stack.engine.docker("volume", "inspect", "pinacle-storage-pinacle", "-f", "{{.Labels}}") == sentinel
    )
    assert two.container_id() == container_id
    assert two.sh("cat /root/file") == "two"
    assert stack.client.call("create", "three", SPEC)["phase"] == "running"
    for pod_id in PODS:
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
