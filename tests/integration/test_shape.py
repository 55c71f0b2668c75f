"""What a pod's container looks like: the spec, the tiers, the network, and changes of a live pod."""

import json
import subprocess
from typing import Any, Final

import pytest

from tests.support.engines import GVISOR
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 3}


@pytest.fixture(autouse=True)
def image(busybox: str) -> str:
    return busybox


def inspect(pod: Pod) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pod.engine.docker("inspect", pod.container))[0]
    return found


def test_every_key_of_the_spec_reaches_the_container(client: Client, engine: PrivateEngine) -> None:
    """As the owner sees it from inside, and the Engine from outside."""
    spec = {
        **SPEC,
        "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait; done"],
        "env": {"GREETING": "hello there"},
        "working_dir": "/srv",
        "user": "1000:1000",
        "hostname": "my-machine",
        "tier": "dev.large",
        "init": True,
    }
    with Pod.running(client, engine, "shape", spec) as pod:
        assert pod.sh("echo $GREETING; pwd; id -u; hostname") == "hello there\n/srv\n1000\nmy-machine"
        host = inspect(pod)["HostConfig"]
        assert (host["CpuQuota"] / host["CpuPeriod"], host["Memory"]) == (4, 8 * 2**30)
        assert host["MemorySwap"] == host["Memory"]
        assert host["RestartPolicy"]["Name"] == "no"
        assert host["PidsLimit"] == 4096
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
        assert host["Init"] is True
        assert inspect(pod)["Config"]["StopTimeout"] == 3
        assert "tmpfs" in pod.sh("grep ' /run ' /proc/mounts")


CHANGES: Final[dict[str, tuple[Any, bool]]] = {
    "image": ("pinacle-database", True),
    "command": (["sleep", "1000"], True),
    "env": ({"A": "1"}, True),
    "working_dir": ("/opt", True),
    "user": ("1000", True),
    "hostname": ("other", True),
    "ports": ([{"container": 80}], True),
    "runtime": ("runc", True),
    "init": (False, True),
    "tier": ("dev.medium", False),
    "restart": ("never", False),
    "stop_timeout_s": (1, False),
    "labels": ({"team": "a"}, False),
    "description": ("mine", False),
}
"""Key, another value for it, and whether the change makes the container again: the table of the README."""


def test_an_update_recreates_the_container_if_it_has_to(
    client: Client, engine: PrivateEngine, database_image: str, runtime: str | None
) -> None:
    """On the same volumes each time. gVisor cannot change the limits of a live container."""
    with Pod.running(client, engine, "change", SPEC) as pod:
        pod.sh("echo mine > /root/file")
        for key, (value, recreates) in CHANGES.items():
            pod.call("update", SPEC, replace=True)
            before = pod.container_id()
            answer = pod.call("update", {key: value})
            assert answer["changed"] == [key]
            assert answer["phase"] == "running", (key, answer)
            expected = recreates or (key == "tier" and runtime == GVISOR)
            assert (pod.container_id() != before) == expected, key
            assert pod.sh("cat /root/file") == "mine", key


def test_a_tier_changes_while_the_pod_runs(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "tier", SPEC) as pod:
        assert inspect(pod)["HostConfig"]["Memory"] == 2 * 2**30
        pod.call("update", {**SPEC, "tier": "dev.xlarge"})
        assert inspect(pod)["HostConfig"]["Memory"] == 16 * 2**30
        assert inspect(pod)["HostConfig"]["CpuQuota"] == 8 * 100_000


def test_a_stopped_pod_takes_its_new_spec_at_the_next_start(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "later", SPEC) as pod:
        pod.call("stop")
        assert pod.call("update", {**SPEC, "hostname": "later"})["phase"] == "stopped"
        assert pod.call("start")["phase"] == "running"
        assert pod.sh("hostname") == "later"


def test_a_published_port_is_chosen_once_and_kept(client: Client, engine: PrivateEngine) -> None:
    """Through stop, start and the loss of the container; it answers on loopback."""
    spec = {
        **SPEC,
        "ports": [{"container": 8000}],
        "command": ["sh", "-c", "echo served > /srv/index.html; exec httpd -f -p 8000 -h /srv"],
    }
    with Pod.running(client, engine, "web", spec) as pod:
        port = pod.call("get")["ports"][0]["host"]
        assert 20000 <= port <= 29999
        pod.call("stop")
        assert pod.call("start")["ports"][0]["host"] == port
        pod.lose_container()
        pod.wait_for_another_container()
        fetch = f"exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        wait_until(lambda: "served" in _inside(engine, fetch), 20, what="an answer on the published port")


def test_pods_cannot_reach_each_other(client: Client, engine: PrivateEngine) -> None:
    """They share a network on which containers do not communicate."""
    serve = {**SPEC, "command": ["sh", "-c", "echo secret > /srv/index.html; exec httpd -f -p 8000 -h /srv"]}
    with Pod.running(client, engine, "one", serve) as one, Pod.running(client, engine, "two", SPEC) as two:
        address = inspect(one)["NetworkSettings"]["Networks"]["pinacle"]["IPAddress"]
        fetch = f"exec 3<>/dev/tcp/{address}/8000; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        wait_until(lambda: "secret" in _within(one, fetch), 10, what="the pod's own answer")
        assert "secret" not in _within(two, fetch)


def test_a_foreign_container_is_adopted_when_that_is_asked_for(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """A container that an older system made on the pod's volumes is replaced by ours, on the same volumes."""
    mounts = ("-v", "pinacle-vol-adopt-home:/home", "-v", "pinacle-vol-adopt-etc:/etc")
    engine.docker("run", "-d", "--name", "pinacle-pod-adopt", *mounts, busybox)
    pod = Pod(client, engine, "adopt")
    pod.sh("echo mine > /home/file")
    assert client.error("create", "adopt", SPEC).startswith("ForeignObjectError")
    answer = client.call("create", "adopt", SPEC, adopt=True)
    assert answer["phase"] == "running", answer
    assert pod.sh("cat /home/file") == "mine"
    assert client.call("delete", "adopt")["phase"] == "deleted"


@pytest.mark.parametrize(
    ("restart", "code", "phase"),
    [("never", 0, "stopped"), ("never", 7, "failed"), ("on-failure", 0, "stopped")],
)
def test_a_pod_that_ends_by_itself_stays_so_if_its_spec_says_so(
    client: Client, engine: PrivateEngine, restart: str, code: int, phase: str
) -> None:
    """With the exit code; and `pods.start` starts it."""
    command = ["sh", "-c", f"test -e /srv/again && exec sleep 1000; touch /srv/again; exit {code}"]
    client.call("create", "ends", {**SPEC, "restart": restart, "command": command})
    try:
        wait_until(lambda: client.call("get", "ends")["phase"] == phase, 20, what=phase)
        assert client.call("get", "ends")["exit_code"] == code
        assert client.call("start", "ends")["phase"] == "running"
    finally:
        client.call("delete", "ends")


def test_a_pod_that_keeps_ending_is_backed_off_and_restart_clears_it(
    client: Client, engine: PrivateEngine
) -> None:
    """With exit code and time of the next try; also for exit code 0, as its end was unexpected."""
    client.call("create", "loop", {**SPEC, "command": ["true"]})
    try:
        wait_until(lambda: client.call("get", "loop")["phase"] == "backoff", 40, what="backoff")
        answer = client.call("get", "loop")
        assert (answer["exit_code"], answer["oom_killed"]) == (0, False)
        assert answer["retry_at"] > 0
        assert "times in a row" in answer["last_error"]
        before = answer["generation"]
        assert client.call("restart", "loop")["generation"] == before + 1
    finally:
        client.call("delete", "loop")


def _within(pod: Pod, script: str) -> str:
    """Run a script of this machine in a pod's network, for 4 s at most; return what it prints."""
    network = f"--net=/proc/{inspect(pod)['State']['Pid']}/ns/net"
    command = ["nsenter", network, "--", "timeout", "4", "bash", "-c", script]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def _inside(engine: PrivateEngine, script: str) -> str:
    command = [*engine.inside(), "bash", "-c", script]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout
