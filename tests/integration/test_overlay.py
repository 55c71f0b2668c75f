"""What is particular to overlays: bases that pods share, and layers that hold what each has changed."""

import json
from typing import Final

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.engine import EngineFailedError, PrivateEngine
from worker.local.images import import_busybox

pytestmark = pytest.mark.usefixtures("busybox")

BUSYBOX: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


def bases(engine: PrivateEngine) -> list[str]:
    return engine.docker("volume", "ls", "-q", "--filter", "label=dev.pinacle.base").split()


def test_nothing_that_a_pod_stands_on_can_be_removed_or_pruned(client: Client, engine: PrivateEngine) -> None:
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


def test_a_base_that_somebody_removed_is_made_again(client: Client, engine: PrivateEngine) -> None:
    """From the same image, also when the pod has another one by now; its own layer lies over it as before."""
    import_busybox(engine, "pinacle-lost", files={"usr/first": b"1"})
    import_busybox(engine, "pinacle-next", files={"usr/second": b"2"})
    with Pod.running(client, engine, "lost", {**BUSYBOX, "image": "pinacle-lost"}) as pod:
        pod.sh("echo mine > /bin/mine; rm /bin/yes")
        answer = pod.call("update", {**BUSYBOX, "image": "pinacle-next"})
        assert answer["phase"] == "running"
        assert pod.sh("cat /bin/mine /usr/first; test -e /usr/second || echo none") == "mine\n1none"
        pod.call("stop")
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


def test_a_missing_layer_is_missing_storage(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "gone", BUSYBOX) as pod:
        pod.call("stop")
        engine.docker("rm", pod.container)
        engine.docker("volume", "rm", "pinacle-vol-gone-system")
        answer = pod.call("start")
        assert answer["phase"] == "storage_missing"
        assert "pinacle-vol-gone-system" in answer["last_error"]
