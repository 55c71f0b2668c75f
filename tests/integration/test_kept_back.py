"""An update that cannot keep what the owner has in the container: the container stays and runs on."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.local.images import import_busybox
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
MB: Final = 10**6


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        import_busybox(stack.engine, "pinacle-nested", changes=("VOLUME /data/db",))
        yield stack


@pytest.fixture
def pod(stack: Stack) -> Iterator[Pod]:
    with Pod.running(stack.client, stack.engine, "up", SPEC) as pod:
        yield pod


def started_at(pod: Pod) -> str:
    return pod.engine.docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", pod.container)


def test_a_disk_that_is_too_small_for_the_copy_refuses_it_before_the_pod_is_stopped(
    stack: Stack, pod: Pod, tmp_path: Path
) -> None:
    """The error says how much is needed and how much is free, and nothing is recorded."""
    pod.sh("mkdir /data && head -c 9000000 /dev/urandom > /data/file")
    before = started_at(pod)
    floor_mb = 2 * shutil.disk_usage(stack.engine.data_root).free // MB
    stack.worker.stop()
    small = WorkerProcess(tmp_path, {**stack.worker.settings, "PINACLE_MIN_FREE_MB": str(floor_mb)}, "small")
    small.start()
    try:
        text = stack.client.error("update", "up", {**SPEC, "hostname": "other"})
        assert text.startswith("UpdateRefusedError: what is kept when the container is replaced needs 10 MB")
        assert "/data 10 MB" in text
        assert f"MB free, of which {floor_mb} MB stay" in text
        answer = pod.call("get")
        assert (answer["phase"], answer["generation"], answer["spec"]["hostname"]) == ("running", 1, None)
        assert started_at(pod) == before
    finally:
        small.stop()
        stack.worker.start()


def test_a_copy_that_breaks_off_leaves_the_old_container_running_with_all_that_it_had(
    stack: Stack, pod: Pod, tmp_path: Path
) -> None:
    """If the disk cannot be seen, a hard link out of what is copied shows only in the middle of the copy."""
    pod.sh("mkdir -p /data/a /data/db && echo early > /data/a/file && echo mine > /data/db/file")
    pod.sh("ln /data/db/file /data/z && echo own > /root/file")
    before, volumes = pod.container_id(), stack.engine.docker("volume", "ls", "-q")
    stack.worker.stop()
    blind = {**stack.worker.settings, "PINACLE_DATA_ROOT": str(tmp_path / "none")}
    worker = WorkerProcess(tmp_path, blind, "blind")
    worker.start()
    try:
        pod.call("update", {**SPEC, "image": "pinacle-nested"})
        wait_until(lambda: pod.call("get")["phase"] == "failed" and pod.is_up(), 60, what="the old container")
        answer = pod.call("get")
        assert "data/z is another name" in answer["last_error"]
        assert pod.container_id() == before
        seen = pod.sh("cat /data/a/file /data/db/file /data/z /root/file")
        assert seen.split() == ["early", "mine", "mine", "own"]
        wait_until(
            lambda: stack.engine.docker("volume", "ls", "-q") == volumes, 20, what="no volume of the copy"
        )
        pod.sh("rm /data/z")
        assert pod.call("update", {**SPEC, "image": "pinacle-nested"})["phase"] in ("pending", "running")
        wait_until(lambda: pod.call("get")["phase"] == "running", 60, what="the update")
        assert pod.container_id() != before
        assert pod.sh("cat /data/a/file /data/db/file /root/file").split() == ["early", "mine", "own"]
    finally:
        worker.stop()
        stack.worker.start()
