"""What is special about overlays: bases that pods share, and layers with what each pod has changed."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import own_stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

BUSYBOX: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


def bases(engine: PrivateEngine) -> list[str]:
    return engine.docker("volume", "ls", "-q", "--filter", "label=dev.pinacle.base").split()


def test_nothing_that_a_pod_needs_can_be_removed_or_pruned(client: Client, engine: PrivateEngine) -> None:
    """Bases and layers, of a running pod and of a stopped one."""
    with Pod.running(client, engine, "held", BUSYBOX) as pod:
        pod.sh("echo mine > /bin/mine")
        held = [*bases(engine), "pinacle-vol-held-system", "pinacle-vol-held-bin"]
        for state in ("running", "stopped"):
            for name in held:
                with pytest.raises(EngineFailedError, match="in use"):
                    engine.docker("volume", "rm", name)
            engine.docker("volume", "prune", "-f")
            assert pod.call("get")["phase"] == state
            pod.call("stop")
        pod.call("start")
        assert pod.sh("cat /bin/mine") == "mine"
        with pytest.raises(EngineFailedError, match="Read-only"):
            pod.sh("touch /run/pinacle/system/x")


def test_a_base_that_somebody_removed_is_made_again(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """From the same image, even if the pod has another one by now; the pod's layer is over it as before."""
    import_busybox(engine, "pinacle-lost", files={"usr/first": b"1"})
    import_busybox(engine, "pinacle-next", files={"usr/second": b"2"})
    with Pod.running(client, engine, "lost", {**BUSYBOX, "image": "pinacle-lost"}) as pod:
        pod.sh("echo mine > /bin/mine; rm /bin/yes")
        answer = pod.call("update", {**BUSYBOX, "image": "pinacle-next"})
        assert answer["phase"] == "running"
        assert answer["image"] != answer["system_image"] == pod.call("get")["system_image"]
        assert pod.sh("cat /bin/mine /usr/first; test -e /usr/second || echo none") == "mine\n1none"
        pod.call("stop")
        with pod_worker.held():
            engine.docker("rm", pod.container)
            (keeper,) = [
                name
                for name in engine.docker("ps", "-a", "--format", "{{.Names}}").split()
                if name.startswith("pinacle-base-") and holds(engine, name, "pinacle-lost")
            ]
            mounted = json.loads(engine.docker("inspect", "-f", "{{json .Mounts}}", keeper))
            engine.docker("rm", keeper)
            engine.docker("volume", "rm", *(mount["Name"] for mount in mounted))
        assert pod.call("start")["phase"] == "running"
        assert pod.sh("cat /bin/mine /usr/first; test -e /bin/yes || echo gone") == "mine\n1gone"


def holds(engine: PrivateEngine, keeper: str, image: str) -> bool:
    wanted = engine.docker("image", "inspect", "-f", "{{.Id}}", image).strip()
    return engine.docker("inspect", "-f", "{{.Image}}", keeper).strip() == wanted


def test_a_missing_layer_is_missing_storage(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    with Pod.running(client, engine, "gone", BUSYBOX) as pod:
        pod.call("stop")
        with pod_worker.held():
            engine.docker("rm", pod.container)
            engine.docker("volume", "rm", "pinacle-vol-gone-system")
        answer = pod.call("start")
        assert answer["phase"] == "storage_missing"
        assert "pinacle-vol-gone-system" in answer["last_error"]


def test_a_killed_engine_leaves_the_system_directories_as_they_were(
    scratch: Path, settings: dict[str, str]
) -> None:
    """Three times in a row, while containers run on: layers and bases are mounted again each time."""
    with (
        own_stack(scratch, settings) as stack,
        Pod.running(stack.client, stack.engine, "kill", BUSYBOX) as pod,
    ):
        pod.sh("echo 0 > /bin/mine; rm /bin/yes")
        for number in range(1, 4):
            stack.engine.kill()
            stack.engine.start()
            wait_until(pod.is_up, 90, what="the pod, running again")
            assert pod.sh("cat /bin/mine; test -e /bin/yes || echo gone") == f"{number - 1}\ngone"
            pod.sh(f"echo {number} > /bin/mine; sync")


def test_a_volume_that_a_killed_engine_removed_by_half(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Its directory is gone, but its options are left: without help the Engine fails for ever."""
    with Pod.running(client, engine, "half", BUSYBOX) as pod:
        pod.call("stop")
        half = engine.data_root / "volumes" / "pinacle-vol-half-bin"
        with pod_worker.held():
            engine.docker("rm", pod.container)
            (half / "_data").rmdir()
            with pytest.raises(EngineFailedError, match="no such file or directory"):
                engine.docker("volume", "rm", half.name)
        answer = pod.call("delete")
        assert (answer["phase"], answer["last_error"]) == ("deleted", None)
        assert not half.exists()
        assert not engine.docker("ps", "-aq", "--filter", "name=pinacle-host-").split()


def test_a_data_root_that_was_moved(scratch: Path, settings: dict[str, str]) -> None:
    """Overlays name the paths of layer and base: they are made again, and nothing is lost."""
    with (
        own_stack(scratch, settings) as stack,
        Pod.running(stack.client, stack.engine, "moved", BUSYBOX) as pod,
    ):
        pod.sh("echo mine > /bin/mine; echo too > /opt/mine; rm /bin/yes; sync")
        stack.engine.stop()
        moved = stack.engine.data_root.with_name("moved")
        stack.engine.data_root.rename(moved)
        stack.engine.data_root = moved
        stack.engine.start()
        wait_until(pod.is_up, 90, what="the pod, running again")
        assert pod.sh("cat /bin/mine /opt/mine; test -e /bin/yes || echo gone") == "mine\ntoo\ngone"
        lower = stack.engine.docker("volume", "inspect", "-f", "{{.Options.o}}", "pinacle-vol-moved-bin")
        assert f"lowerdir={moved}/" in lower


def test_a_base_goes_when_its_last_pod_has_been_deleted(scratch: Path, settings: dict[str, str]) -> None:
    with own_stack(scratch, {**settings, "PINACLE_BASE_GRACE_S": "5"}) as stack:
        with Pod.running(stack.client, stack.engine, "last", BUSYBOX) as pod:
            names = bases(stack.engine)
            pod.call("stop")
            stack.client.call("reconcile")
            assert bases(stack.engine) == names != []
        wait_until(lambda: bases(stack.engine) == [], 30, what="the end of the base")


def test_a_full_disk_while_a_base_is_filled(scratch: Path, settings: dict[str, str]) -> None:
    """The pod waits and says why; with space again it runs, and nothing is left of the attempt."""
    with small_disk(scratch / "small", megabytes=120) as folder:
        small = {**settings, "PINACLE_MIN_FREE_MB": "0", "PINACLE_BASE_GRACE_S": "5"}
        with own_stack(folder, small) as stack:
            # Far more than is left free, whatever the Engine gives back meanwhile.
            import_busybox(stack.engine, "pinacle-big", files={"usr/big": os.urandom(20_000_000)})
            filler = folder / "filler"
            with filler.open("wb") as file:
                free = os.statvfs(folder)
                file.write(bytes(max(0, free.f_bavail * free.f_bsize - 3_000_000)))
            sent = stack.client.send("create", "full", {**BUSYBOX, "image": "pinacle-big"})
            answer = stack.client.receive(sent)
            assert answer["phase"] == "pending"
            assert "no space left on device" in answer["last_error"]
            assert "make room on it (docker image prune" in answer["last_error"]
            filler.unlink()
            pod = Pod(stack.client, stack.engine, "full")
            wait_until(lambda: pod.call("get")["phase"] == "running", 60, what="the pod")
            assert pod.sh("echo fine") == "fine"
            assert len(bases(stack.engine)) == 3
            pod.call("delete")


def test_if_overlays_cannot_be_mounted_each_pod_gets_a_copy(scratch: Path, settings: dict[str, str]) -> None:
    """For example on a data root that is an overlay itself."""
    with small_disk(scratch / "no-overlays", megabytes=400) as folder:
        parts = [folder / name for name in ("lower", "upper", "work", "merged")]
        for part in parts:
            part.mkdir()
        lower, upper, work, merged = parts
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)], check=True)
        try:
            with own_stack(merged, settings) as stack:
                with Pod.running(stack.client, stack.engine, "copied", BUSYBOX) as pod:
                    assert pod.call("get")["system_volumes"] == "copy"
                    pod.sh("echo mine > /bin/mine; sync")
                    pod.lose_container()
                    pod.wait_for_another_container(60)
                    assert pod.sh("cat /bin/mine") == "mine"
                assert "overlay_does_not_work" in stack.worker.text()
        finally:
            subprocess.run(["umount", str(merged)], check=True)


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
