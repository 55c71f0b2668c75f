"""The worker sees what was done to pods behind its back, whatever the Engine's events contain."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
NETWORK: Final = "watched"
_SERVE: Final = (
    "mkdir -p /data; test -e /data/index.html || date +%N >/data/index.html; exec httpd -f -p 8080 -h /data"
)
SERVES: Final = {**SPEC, "command": ["sh", "-c", _SERVE], "ports": [{"container": 8080}]}
"""It serves what is in its container's own root, and nowhere else."""


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], busybox: str) -> dict[str, str]:
    """No pass comes to the rescue, unless a test asks for one; and these tests have their own network."""
    return {**settings, "PINACLE_RECONCILE_INTERVAL_S": "3600", "PINACLE_NETWORK": NETWORK}


@pytest.fixture(scope="module", autouse=True)
def network(engine: PrivateEngine, settings: dict[str, str]) -> Iterator[None]:
    yield
    # Not every test here has pods.
    if NETWORK in engine.docker("network", "ls", "--format", "{{.Name}}").split():
        engine.docker("network", "rm", NETWORK)


@pytest.fixture(scope="module")
def pod_worker(network: None, pod_worker: WorkerProcess) -> WorkerProcess:
    """A worker that ends before its network is removed."""
    return pod_worker


@pytest.fixture
def chatter(engine: PrivateEngine, tmp_path: Path) -> Iterator[str]:
    """Somebody else's container, each event of which is a line of more than 600 kB."""
    labels = tmp_path / "labels"
    of_ours = ("dev.pinacle.pod=chatter", "dev.pinacle.installation=pinacle")
    # In pieces, as the command line reads lines of 64 kB at most.
    labels.write_text("\n".join((*of_ours, *(f"long.{n}={'x' * 60_000}" for n in range(10)))))
    engine.docker("run", "-d", "--name", "chatter", "--label-file", str(labels), "pinacle-busybox")
    yield "chatter"
    engine.docker("rm", "-f", "chatter")


def test_an_event_longer_than_any_buffer_leaves_the_others_watched(
    client: Client, engine: PrivateEngine, chatter: str, pod_worker: WorkerProcess
) -> None:
    """Once, only passes brought other pods back after such a line. Now the stream does not even break."""
    with Pod.running(client, engine, "quick", SPEC) as pod:
        before = pod_worker.text().count("events_connected")
        for _ in range(2):
            engine.docker("restart", "-t", "0", chatter)
        engine.docker("kill", pod.container)
        wait_until(lambda: pod.call("get")["restarts"] == 1, 10, what="a restart")
    assert pod_worker.text().count("events_connected") == before


def test_a_command_and_env_that_hold_too_much_are_refused(client: Client) -> None:
    """Before anything is written."""
    long = ["echo", "ж" * 45_000, "ж" * 45_000]
    text = client.error("create", "long", {**SPEC, "command": long})
    assert "InvalidInputError" in text
    assert "spec: command and env hold 180004 bytes; allowed: 128000 together" in text
    assert client.error("get", "long").startswith("PodNotFoundError")


def containers(engine: PrivateEngine, pod: Pod, *flags: str) -> list[str]:
    """Return the names of a pod's containers that run, or with the flag `-a` of all."""
    label = f"label=dev.pinacle.pod={pod.id}"
    return engine.docker("ps", "--format", "{{.Names}}", "--filter", label, *flags).split()


def test_a_container_that_is_given_another_name_gets_its_own_back(
    client: Client, engine: PrivateEngine
) -> None:
    """Once, a second one ran beside it on the same volumes, and a deletion never ended."""
    with Pod.running(client, engine, "named", SPEC) as pod:
        pod.sh("mkdir /data; echo mine >/data/file")
        before = pod.container_id()
        engine.docker("rename", pod.container, "elsewhere")
        wait_until(lambda: pod.container_id() == before, 10, what="the pod's own name")
        assert containers(engine, pod, "-a") == [pod.container]
        assert pod.sh("cat /data/file") == "mine"
        answer = pod.call("restart")
        assert (answer["phase"], answer["restarts"], answer["steps"]) == ("running", 0, [])
        engine.docker("rename", pod.container, "elsewhere-again")


def test_a_container_that_dies_under_another_name_is_started_again(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Even if the worker learns of both at once, and if somebody else's container has the name meanwhile."""
    with Pod.running(client, engine, "dead", SPEC) as pod:
        pod.sh("mkdir /data; echo mine >/data/file")
        before = pod.container_id()
        pod_worker.stop()
        engine.docker("rename", pod.container, "elsewhere")
        engine.docker("kill", "elsewhere")
        engine.docker("create", "--name", pod.container, "pinacle-busybox")
        pod_worker.start()
        wait_until(lambda: containers(engine, pod) == ["elsewhere"], 20, what="the pod's own container")
        answer = pod.call("restart")
        assert (answer["phase"], answer["container_id"]) == ("running", before)
        assert "exists and has no label dev.pinacle.pod=dead: it is not ours" in answer["last_error"]
        refused = pod.call("update", {**SPEC, "hostname": "other"})
        assert refused["phase"] == "failed"
        assert containers(engine, pod) == ["elsewhere"], "it could not have been made again"
        engine.docker("rm", pod.container)
        pod.call("restart")
        wait_until(lambda: pod.is_up() and pod.sh("hostname") == "other", 20, what="the update")
        assert containers(engine, pod, "-a") == [pod.container]


def test_of_two_containers_of_one_pod_one_runs(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """As an older system left them: the recorded one goes on, and nothing of the other one is lost."""
    with Pod.running(client, engine, "two", SPEC) as pod:
        pod_worker.stop()
        labels = json.loads(engine.docker("inspect", "--format", "{{json .Config.Labels}}", pod.container))
        flags = [flag for key, value in labels.items() for flag in ("--label", f"{key}={value}")]
        flags += ["--name", "second", "-v", "pinacle-vol-two-home:/home"]
        engine.docker("run", "-d", *flags, "pinacle-busybox")
        engine.docker("exec", "second", "sh", "-c", "mkdir /data; echo theirs >/data/file")
        pod_worker.start()
        wait_until(lambda: containers(engine, pod) == [pod.container], 20, what="one container that runs")
        assert sorted(containers(engine, pod, "-a")) == [pod.container, "second"]
        wait_until(lambda: "is a second one" in (pod.call("get")["last_error"] or ""), 10, what="its reason")
        assert pod.call("get")["phase"] == "running"
        assert "theirs" in engine.docker("cp", "second:/data/file", "-")
    assert containers(engine, pod, "-a") == []


def test_redis_is_lost_while_a_container_has_another_name(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess, redis_server: RedisServer
) -> None:
    """It still belongs to the pod: the record comes back, and no second container is made."""
    with Pod.running(client, engine, "found", SPEC) as pod:
        before = pod.container_id()
        pod_worker.stop()
        engine.docker("rename", pod.container, "elsewhere")
        redis_server.flush()
        pod_worker.start()
        wait_until(lambda: pod.container_id() == before, 20, what="the pod's own name")
        answer = pod.call("get")
        assert (answer["phase"], answer["container_id"]) == ("running", before)
        assert containers(engine, pod, "-a") == [pod.container]


def served(engine: PrivateEngine, pod: Pod) -> str:
    """Return what a pod serves, to this Engine's host; empty if it does not answer."""
    (port,) = pod.call("get")["ports"]
    script = (
        f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port['host']}/', timeout=2).read())"
    )
    return subprocess.run(
        [*engine.inside(), sys.executable, "-c", script], check=False, capture_output=True, text=True
    ).stdout


def wait_for_page(engine: PrivateEngine, pod: Pod, page: str) -> None:
    wait_until(lambda: served(engine, pod) == page, 15, what=f"the page {page}")


def test_a_pod_that_lost_its_network_gets_it_back(client: Client, engine: PrivateEngine) -> None:
    """By a pass while it runs, by a restart, and by a start: its ports answer, in the same container."""
    with Pod.running(client, engine, "alone", SERVES) as pod:
        wait_until(lambda: served(engine, pod) != "", 15, what="a page")
        page, before = served(engine, pod), pod.container_id()
        engine.docker("network", "disconnect", NETWORK, pod.container)
        assert served(engine, pod) == ""
        client.call("reconcile")
        wait_for_page(engine, pod, page)
        engine.docker("network", "disconnect", NETWORK, pod.container)
        assert pod.call("restart")["steps"] == ["connect_network"]
        wait_for_page(engine, pod, page)
        engine.docker("network", "disconnect", "--force", NETWORK, pod.container)
        assert pod.call("restart", force=True)["phase"] == "running"
        wait_for_page(engine, pod, page)
        pod.call("stop")
        engine.docker("network", "disconnect", NETWORK, pod.container)
        assert pod.call("start")["phase"] == "running"
        wait_for_page(engine, pod, page)
        assert pod.container_id() == before


@pytest.mark.parametrize("again", [False, True], ids=["gone", "made again"])
def test_a_network_that_was_removed_is_replaced(client: Client, engine: PrivateEngine, again: bool) -> None:
    """A network of the same name is another one for the Engine: stopped pods could never start again."""
    with Pod.running(client, engine, "moved", SERVES) as pod:
        wait_until(lambda: served(engine, pod) != "", 15, what="a page")
        page, before = served(engine, pod), pod.container_id()
        pod.call("stop")
        engine.docker("network", "rm", NETWORK)
        if again:
            engine.docker("network", "create", NETWORK)
        answer = pod.call("start")
        assert (answer["phase"], answer["last_error"]) == ("running", None)
        wait_for_page(engine, pod, page)
        assert pod.container_id() == before


@pytest.fixture
def slow_stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    """An Engine whose list of volumes takes longer than any step may."""
    mine = {**settings, "PINACLE_RECONCILE_INTERVAL_S": "30", "PINACLE_STEP_DEADLINE_S": "6"}
    with own_stack(scratch, mine, proxied=True) as stack:
        assert stack.client.call("create", "first", SPEC)["phase"] == "running"
        assert stack.proxy is not None
        stack.proxy.slow_down(r"^GET /volumes$", SLOW_S)
        yield stack


SLOW_S: Final = 15.0


def test_a_slow_list_of_volumes_holds_up_no_single_pod(slow_stack: Stack) -> None:
    """Their volumes are asked for by name; passes wait for the list, which has its own deadline."""
    client, engine = slow_stack.client, slow_stack.engine
    first = Pod(client, engine, "first")
    first.sh("echo mine >/home/file")
    assert first.call("stop")["phase"] == "stopped"
    assert first.call("start")["phase"] == "running"
    with Pod.running(client, engine, "second", SPEC) as second:
        second.sh("echo yours >/home/file")
        second.lose_container()
        assert second.call("restart")["phase"] == "running"
        assert second.sh("cat /home/file") == "yours"
        engine.docker("kill", first.container)
        wait_until(lambda: first.call("get")["restarts"] == 1, 15, what="a restart")
        assert first.sh("cat /home/file") == "mine"
        began = time.monotonic()
        result = client.call("reconcile", timeout_s=120)
        assert time.monotonic() - began > SLOW_S
        assert (result["pods"], result["failed"]) == (2, 0)
    assert first.call("delete")["phase"] == "deleted"
    left = engine.docker("volume", "ls", "-q").split()
    assert not [name for name in left if name.startswith("pinacle-vol-")]
    assert "volumes_asked_by_name" in slow_stack.worker.text()
