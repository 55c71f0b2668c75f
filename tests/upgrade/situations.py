"""Pods of many kinds, as a worker of an earlier commit makes them."""

from typing import Any, Final

from tests.support.pods import Pod
from tests.support.stack import Stack
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

_PLAIN: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}
SPECS: Final[dict[str, dict[str, Any]]] = {
    "plain": _PLAIN,
    "every-key": {
        "image": "pinacle-database",
        "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done", 'ü " \\'],
        "env": {"GREETING": "hello, world", "UMLAUT": "ä", "STAGE": "image"},
        "working_dir": "/srv",
        "user": "1000:1000",
        "hostname": "my-machine.example",
        "ports": [
            {"container": 80},
            {"container": 53, "host": 29053, "protocol": "udp", "address": "127.0.0.2"},
        ],
        "tier": "dev.medium",
        "runtime": "runc",
        "restart": "on-failure",
        "init": False,
        "stop_timeout_s": 2,
    },
    "database": {**_PLAIN, "image": "pinacle-database", "env": {"STAGE": "image", "PATH": "/bin"}},
    "moved": {**_PLAIN, "image": "pinacle-database"},
    "kept": _PLAIN,
    "resized": _PLAIN,
    "restored": _PLAIN,
    "stopped": _PLAIN,
    "crashing": {**_PLAIN, "command": ["sh", "-c", "exit 3"]},
    "finished": {**_PLAIN, "command": ["true"], "restart": "never"},
    "failing": {**_PLAIN, "working_dir": "/etc/passwd"},
    "deleted": _PLAIN,
}
"""Pod id to the spec that it is created with."""
MOVED: Final[dict[str, Any]] = {**_PLAIN, "image": "pinacle-other", "env": {"STAGE": "other"}}
KEPT: Final[dict[str, Any]] = {**_PLAIN, "hostname": "later"}
RESIZED: Final[dict[str, Any]] = {
    **_PLAIN,
    "tier": "dev.xlarge",
    "restart": "never",
    "stop_timeout_s": 300,
}
LAST_SPECS: Final = {**SPECS, "moved": MOVED, "kept": KEPT, "resized": RESIZED}
"""Pod id to the spec that it has in the end."""
UP: Final = ("plain", "every-key", "database", "moved", "kept", "resized", "restored")


def make_images(engine: PrivateEngine) -> None:
    """Make the images of the pods, besides the one that every stack has."""
    import_busybox(
        engine, "pinacle-database", changes=("ENV STAGE=image PATH=/bin", "VOLUME /var/lib/db /data.d/b-c")
    )
    import_busybox(engine, "pinacle-other", changes=("ENV STAGE=other", "VOLUME /a /var/lib/db"))


def arrange(stack: Stack) -> dict[str, Pod]:
    """Bring every pod to the state that its name says, with the stack's worker; each has its own file."""
    make_images(stack.engine)
    stack.engine.docker("volume", "create", "pinacle-vol-restored-root")
    pods = {pod_id: Pod(stack.client, stack.engine, pod_id) for pod_id in SPECS}
    sent = {pod_id: stack.client.send("create", pod_id, spec) for pod_id, spec in SPECS.items()}
    for pod_id, message in sent.items():
        phase = stack.client.outcome(message)
        assert pod_id not in UP or phase == "running", (pod_id, phase)
    for pod_id in UP:
        user = ("-u", "0") if pod_id == "every-key" else ()
        script = f"echo {pod_id} | tee /root/file > /usr/bin/mine"
        stack.engine.docker("exec", *user, pods[pod_id].container, "sh", "-ec", script)
    pods["kept"].sh("mkdir /data /x-y && echo mine | tee /data/file > /x-y/file")
    for pod_id, spec in (("kept", KEPT), ("moved", MOVED), ("resized", RESIZED)):
        assert pods[pod_id].call("update", spec)["phase"] == "running"
    pods["stopped"].sh("echo stopped > /root/file")
    assert pods["stopped"].call("stop")["phase"] == "stopped"
    assert pods["deleted"].call("delete")["phase"] == "deleted"
    wait_until(lambda: pods["crashing"].call("get")["phase"] == "backoff", 60, what="a back-off")
    return pods
