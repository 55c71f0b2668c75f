"""The event stream: what happens to a container unexpectedly is repaired at once, long before any pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], busybox: str) -> dict[str, str]:
    """No pass comes to the rescue."""
    return {**settings, "PINACLE_RECONCILE_INTERVAL_S": "3600"}


def test_a_container_that_dies_is_started_again(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "dies", SPEC) as pod:
        engine.docker("kill", pod.container)
        wait_until(lambda: pod.call("get")["restarts"] == 1, 10, what="a restart")
        answer = pod.call("get")
        assert (answer["phase"], answer["exit_code"]) == ("running", 137)
        assert pod.is_up()


def test_a_container_that_is_removed_is_made_again(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "goes", SPEC) as pod:
        pod.sh("echo mine > /root/file")
        pod.lose_container()
        pod.wait_for_another_container(10)
        assert pod.sh("cat /root/file") == "mine"


def test_a_container_that_is_paused_goes_on(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "waits", SPEC) as pod:
        engine.docker("pause", pod.container)
        state = ("inspect", "--format", "{{.State.Status}}", pod.container)
        wait_until(lambda: engine.docker(*state).strip() == "running", 10, what="an unpaused pod")


def test_a_stopped_pod_that_somebody_starts_is_stopped(client: Client, engine: PrivateEngine) -> None:
    with Pod.running(client, engine, "stays", SPEC) as pod:
        pod.call("stop")
        engine.docker("start", pod.container)
        wait_until(lambda: not pod.is_up(), 10, what="a stopped pod")


def test_what_we_do_ourselves_is_not_looked_into(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Otherwise each stop and each recreation would cost a second look."""
    with Pod.running(client, engine, "asked", SPEC) as pod:
        pod.call("stop")
        pod.call("start")
        pod.call("restart", force=True)
        pod.call("update", {**SPEC, "hostname": "other"})
    unasked = [line for line in pod_worker.text().splitlines() if "event_unasked" in line]
    assert not [line for line in unasked if '"pod_id": "asked"' in line]


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        yield stack


def test_an_engine_that_was_killed_gets_a_pass_as_soon_as_it_answers(stack: Stack) -> None:
    """Containers that were lost meanwhile come back on their volumes; the others run on."""
    engine, client = stack.engine, stack.client
    with Pod.running(client, engine, "lost", SPEC) as lost, Pod.running(client, engine, "kept", SPEC) as kept:
        lost.sh("echo mine > /root/file")
        engine.kill()
        wait_until(lambda: "events_disconnected" in stack.worker.text(), 20, what="the end of the stream")
        engine.start()
        engine.docker("rm", "-f", lost.container)
        for pod in (lost, kept):
            pod.wait_for_another_container(60)
        assert lost.sh("cat /root/file") == "mine"
        phases = [pod["phase"] for pod in client.call("list")["pods"]]
        assert phases == ["running", "running"]
        assert stack.worker.is_running()
