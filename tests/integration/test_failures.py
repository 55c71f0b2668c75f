"""What will never work is reported as `failed`, in the Engine's words; what may work later is not."""

from typing import Any

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"user": "root:nosuchgroup"}, "nosuchgroup"),
        ({"user": "nosuchuser"}, "nosuchuser"),
        ({"working_dir": "/proc/nowhere"}, "/proc/nowhere"),
        ({"working_dir": "/sys/nowhere"}, "/sys/nowhere"),
        ({"working_dir": "/etc/passwd/below"}, "passwd"),
    ],
    ids=str,
)
def test_what_the_engine_never_does_is_failed_with_its_words(
    client: Client, engine: PrivateEngine, wrong: dict[str, Any], words: str
) -> None:
    """Even if it calls it an error of its own (500); the update that fixes it is carried out at once."""
    spec = {"image": "pinacle-busybox", "stop_timeout_s": 1}
    client.call("create", "wrong", {**spec, **wrong})
    pod = Pod(client, engine, "wrong")
    try:
        wait_until(lambda: pod.call("get")["phase"] == "failed", 60, what="failed")
        assert words in pod.call("get")["last_error"]
        assert pod.call("update", dict.fromkeys(wrong))["phase"] == "running"
    finally:
        client.call("delete", "wrong")


def test_an_image_that_was_imported_again_is_taken_by_an_update_with_the_same_spec(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Only if the pinned one is gone from the host; the pod's data and installed programs stay."""
    spec = {"image": import_busybox(engine, "pinacle-again", changes=("ENV V=1",)), "stop_timeout_s": 1}
    with Pod.running(client, engine, "imported", spec) as pod:
        first = pod.call("get")["image"]
        pod.sh("echo mine > /root/file; echo mine > /usr/bin/mine")
        import_busybox(engine, "pinacle-again", changes=("ENV V=2",))
        second = engine.docker("image", "inspect", "-f", "{{.Id}}", "pinacle-again").strip()
        # The name has moved on, and the pinned one is still there.
        assert pod.call("update", {**spec, "hostname": "other"})["image"] == first
        assert pod.call("update", spec)["image"] == first
        pod.call("stop")
        with pod_worker.held():
            # A pass in between would make another container of that image.
            engine.docker("rm", pod.container)
            engine.docker("rmi", "-f", first)
        for answer in (pod.call("start"), pod.call("restart")):
            assert answer["phase"] == "failed"
            assert "pods.update with the pod's spec then takes the one with the name" in answer["last_error"]
        answer = pod.call("update", spec)
        assert (answer["phase"], answer["image"]) == ("running", second)
        assert pod.sh("echo $V; cat /root/file /usr/bin/mine") == "2\nmine\nmine"
        assert pod.call("update", {**spec, "hostname": "third"})["image"] == second
