"""Two workers with one PINACLE_INSTALLATION and two Redis on one Engine: neither touches the other's pods."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        yield stack


def doctor(settings: dict[str, str]) -> dict[str, Any]:
    """Return what the doctor says about the installation."""
    run = subprocess.run(
        [sys.executable, "-m", "worker.cli", "doctor", "--json"],
        cwd=ROOT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    checks: list[dict[str, Any]] = json.loads(run.stdout)["checks"]
    return next(check for check in checks if check["name"] == "installation")


def test_a_second_one_is_refused_and_takes_over_only_if_nobody_objects(
    stack: Stack, scratch: Path, own_redis: RedisServer
) -> None:
    """Both say so. Once the first is gone, a new worker takes its pods over without a restart."""
    mine = {**stack.worker.settings, "PINACLE_REDIS_URL": own_redis.url}
    second, client = WorkerProcess(scratch, mine, "second"), Client(own_redis.url)
    pods = [Pod(stack.client, stack.engine, pod_id) for pod_id in ("runs", "rests")]
    for pod in pods:
        assert pod.call("create", SPEC)["phase"] == "running"
    pods[1].call("stop")
    try:
        second.start()
        for task, given in (("create", ["other", SPEC]), ("delete", ["runs"]), ("start", ["rests"])):
            text = client.error(task, *given)
            assert text.startswith("InstallationTakenError: installation 'pinacle'"), text
            assert "PINACLE_INSTALLATION" in text
        assert client.call("list")["pods"] == []
        assert "installation_contended" in stack.worker.text()
        assert "installation_taken_by_another" in second.text()
        assert doctor(mine)["status"] == "fail"
        assert doctor(stack.worker.settings)["status"] == "warn"
        pods[0].lose_container()
        pods[0].wait_for_another_container()
        assert not pods[1].is_up()
        assert stack.phases() == {"runs": "running", "rests": "stopped"}
        runs = pods[0].container_id()
        second.stop()
        stack.worker.stop()
        second.start()
        phases = {pod["pod_id"]: pod["phase"] for pod in client.call("list")["pods"]}
        assert phases == {"runs": "running", "rests": "stopped"}
        assert pods[0].container_id() == runs
        stack.worker.start()
        text = stack.client.error("start", "rests")
        assert "hosts.accept_storage" in text, text
        assert pods[0].container_id() == runs
        wait_until(lambda: "installation_contended" in second.text(), 20, what="the first one turned away")
        for pod in pods:
            assert client.call("delete", pod.id)["phase"] == "deleted"
    finally:
        client.close()
        second.stop()
