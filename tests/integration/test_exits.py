"""Pods whose program ends: what is finished stays finished, whatever happens to its container."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")


def runs(engine: PrivateEngine, pod_id: str) -> int:
    """Return how often the pod's program noted a run."""
    noted = engine.data_root / "volumes" / f"pinacle-vol-{pod_id}-root" / "_data" / "runs"
    return noted.read_text().count("ran") if noted.exists() else 0


@contextmanager
def job(
    client: Client, engine: PrivateEngine, pod_id: str, restart: str, then: str = "true"
) -> Iterator[Pod]:
    """Run a pod that notes each run, and then does something."""
    spec: dict[str, Any] = {"image": "pinacle-busybox", "restart": restart, "stop_timeout_s": 1}
    spec["command"] = ["sh", "-c", f"echo ran >> /root/runs; {then}"]
    client.call("create", pod_id, spec)
    try:
        yield Pod(client, engine, pod_id)
    finally:
        assert client.call("delete", pod_id)["phase"] == "deleted"


def wait_for_phase(pod: Pod, phase: str) -> dict[str, Any]:
    wait_until(lambda: pod.call("get")["phase"] == phase, 40, what=f"{pod.id} {phase}")
    return pod.call("get")


@pytest.mark.parametrize("restart", ["never", "on-failure"])
def test_a_finished_pod_does_not_run_again_when_its_container_is_pruned(
    client: Client, engine: PrivateEngine, restart: str
) -> None:
    """Twice; and an explicit start runs it again."""
    with job(client, engine, f"done-{restart}", restart) as pod:
        before = wait_for_phase(pod, "stopped")
        for _ in range(2):
            engine.docker("container", "prune", "-f", "--filter", "label=dev.pinacle.pod")
            client.call("reconcile")
            # gVisor's containers take their time to go.
            wait_until(
                lambda: pod.call("get")["last_error"] == before["last_error"],
                20,
                what="the end of its removal",
            )
            after = wait_for_phase(pod, "stopped")
            assert (after["last_error"], after["exit_code"]) == (before["last_error"], 0)
            assert runs(engine, pod.id) == 1
        pod.call("start")
        wait_until(lambda: runs(engine, pod.id) == 2, 20, what="the run that was asked for")
        wait_for_phase(pod, "stopped")
        assert runs(engine, pod.id) == 2


def test_a_failed_pod_that_never_restarts_stays_failed_without_its_container(
    client: Client, engine: PrivateEngine
) -> None:
    with job(client, engine, "broken", "never", "exit 3") as pod:
        wait_for_phase(pod, "failed")
        pod.lose_container()
        client.call("reconcile")
        answer = wait_for_phase(pod, "failed")
        assert (answer["exit_code"], runs(engine, pod.id)) == (3, 1)


def test_what_ended_and_was_pruned_while_no_worker_looked_is_not_run_again_with_restart_never(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess
) -> None:
    """Nobody knows how it ended, and the pod says so; one that should run until it succeeds comes back."""
    wait = "sleep 2"
    with (
        job(client, engine, "unseen", "never", wait) as pod,
        job(client, engine, "again", "on-failure", wait),
    ):
        pod_worker.kill()
        wait_until(
            lambda: not pod.is_up() and not Pod(client, engine, "again").is_up(), 20, what="their ends"
        )
        engine.docker("container", "prune", "-f", "--filter", "label=dev.pinacle.pod")
        pod_worker.start()
        answer = wait_for_phase(pod, "failed")
        assert "how it ended is not known" in answer["last_error"]
        assert answer["exit_code"] is None
        wait_until(lambda: runs(engine, "again") == 2, 40, what="another run of the other one")
        wait_for_phase(Pod(client, engine, "again"), "stopped")
        assert (runs(engine, pod.id), runs(engine, "again")) == (1, 2)
        pod.call("restart")
        wait_until(lambda: runs(engine, pod.id) == 2, 20, what="the run that was asked for")


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        (["nosuchprogram", "--flag"], 127, "the program 'nosuchprogram', or one that it runs, was not found"),
        (["/etc/passwd"], 126, "the program '/etc/passwd', or one that it runs, may not be executed"),
    ],
)
def test_a_program_that_is_not_there_is_named(
    client: Client, engine: PrivateEngine, command: list[str], code: int, named: str
) -> None:
    """By the pod itself, and it is tried again after ever longer waits: somebody may install it."""
    client.call("create", "nameless", {"image": "pinacle-busybox", "command": command})
    try:
        answer = wait_for_phase(Pod(client, engine, "nameless"), "backoff")
        assert f"exit code {code}, " in answer["last_error"]
        assert named in answer["last_error"]
    finally:
        client.call("delete", "nameless")


def test_a_pod_that_keeps_ending_says_why(client: Client, engine: PrivateEngine) -> None:
    """With the signal, the last lines that it printed, masked, and when that was."""
    spec = {
        "image": "pinacle-busybox",
        "env": {"TOKEN": "canary-exits-31"},
        "command": ["sh", "-c", "seq 30; echo bad $TOKEN; kill -SEGV $$"],
    }
    client.call("create", "why", spec)
    try:
        answer = wait_for_phase(Pod(client, engine, "why"), "backoff")
        assert "exit code 139 (SIGSEGV)" in answer["last_error"]
        assert answer["last_lines"].splitlines() == [*map(str, range(12, 31)), "bad ***"]
        assert answer["created_at"] <= answer["started_at"]
        assert answer["started_at"].endswith("+00:00")
        assert answer["finished_at"].endswith("+00:00")
    finally:
        client.call("delete", "why")


def test_a_pod_that_runs_says_since_when(client: Client, engine: PrivateEngine, busybox: str) -> None:
    with Pod.running(client, engine, "since", {"image": busybox, "stop_timeout_s": 0}) as pod:
        first = pod.call("get")
        assert (first["finished_at"], first["last_lines"]) == (None, None)
        stopped = pod.call("stop") and pod.call("get")
        assert first["started_at"] == stopped["started_at"] <= stopped["finished_at"]
