"""Stops that take longer than one call to the Engine: each is sent once, whatever is asked or killed."""

from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

STUBBORN: Final = "trap 'echo signal >> /root/signals' TERM; echo up > /root/up; while :; do sleep 0.1; done"
"""Notes each SIGTERM and goes on."""


def spec(stop_timeout_s: int) -> dict[str, Any]:
    return {
        "image": "pinacle-busybox",
        "command": ["sh", "-c", STUBBORN],
        "init": False,
        "stop_timeout_s": stop_timeout_s,
    }


def wait_until_it_listens(pod: Pod) -> None:
    wait_until(lambda: pod.sh("ls /root").split().count("up") == 1, 20, what="the trap")


def signals(pod: Pod, engine: PrivateEngine) -> int:
    """Return how many signals the pod got, even after its end."""
    folder = engine.data_root / "volumes" / f"pinacle-vol-{pod.id}-root" / "_data"
    noted = folder / "signals"
    return noted.read_text().count("signal") if noted.exists() else 0


def test_a_stop_that_takes_three_deadlines_sends_one_signal(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Despite passes, events, a second request and a worker that is killed and comes back."""
    with Pod.running(client, engine, "slow-stop", spec(20)) as pod:
        wait_until_it_listens(pod)
        sent = client.send("stop", pod.id)
        wait_until(lambda: signals(pod, engine) == 1, 20, what="the first signal")
        wait_until(lambda: "being stopped" in (pod.call("get")["last_error"] or ""), 20, what="that it waits")
        client.forget(client.send("stop", pod.id))
        client.call("reconcile")
        pod_worker.kill()
        pod_worker.start()
        client.forget(sent)
        wait_until(lambda: pod.call("get")["phase"] == "stopped", 90, what="the stop")
        assert not pod.is_up()
        assert signals(pod, engine) == 1
        assert pod.call("start")["phase"] == "running"


def test_a_forced_restart_of_one_that_does_not_end_sends_one_signal(
    client: Client, engine: PrivateEngine
) -> None:
    """It does not count as running until it was killed; then it runs again."""
    with Pod.running(client, engine, "slow-restart", spec(14)) as pod:
        wait_until_it_listens(pod)
        first = engine.docker("inspect", "-f", "{{.State.StartedAt}}", pod.container)
        sent = client.send("restart", pod.id, force=True)
        wait_until(lambda: "being stopped" in (pod.call("get")["last_error"] or ""), 20, what="that it waits")
        assert pod.call("get")["phase"] == "pending"
        assert client.receive(sent)["phase"] in ("pending", "running")
        wait_until(lambda: pod.call("get")["phase"] == "running", 40, what="that it runs again")
        assert engine.docker("inspect", "-f", "{{.State.StartedAt}}", pod.container) != first
        assert signals(pod, engine) == 1


def test_a_deletion_does_not_wait_for_a_stop(client: Client, engine: PrivateEngine) -> None:
    """For a pod that has ten minutes to end."""
    with Pod.running(client, engine, "slow-delete", spec(600)) as pod:
        wait_until_it_listens(pod)
        sent = client.send("stop", pod.id)
        wait_until(lambda: signals(pod, engine) == 1, 20, what="the first signal")
        wait_until(lambda: "being stopped" in (pod.call("get")["last_error"] or ""), 20, what="that it waits")
        assert pod.call("delete")["phase"] == "deleted"
        client.forget(sent)
