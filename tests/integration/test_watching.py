"""What was done to pods behind the worker's back is seen by it, whatever the Engine is made to tell."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.engine import PrivateEngine
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], busybox: str) -> dict[str, str]:
    """No pass comes to the rescue, unless a test asks for one."""
    return {**settings, "PINACLE_RECONCILE_INTERVAL_S": "3600"}


@pytest.fixture
def chatter(engine: PrivateEngine, tmp_path: Path) -> Iterator[str]:
    """A container of somebody else's whose every event is a line of more than 600 kB."""
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
    """Only passes brought other pods back after one such line. Now the stream is not even connected anew."""
    with Pod.running(client, engine, "quick", SPEC) as pod:
        for _ in range(2):
            engine.docker("restart", "-t", "0", chatter)
        engine.docker("kill", pod.container)
        wait_until(lambda: pod.call("get")["restarts"] == 1, 10, what="a restart")
    assert pod_worker.text().count("events_connected") == 1


def test_a_command_and_env_that_hold_too_much_are_refused(client: Client) -> None:
    """Before anything is written."""
    long = ["echo", "ж" * 45_000, "ж" * 45_000]
    text = client.error("create", "long", {**SPEC, "command": long})
    assert "InvalidInputError" in text
    assert "spec: command and env hold 180004 bytes; allowed: 128000 together" in text
    assert client.error("get", "long").startswith("PodNotFoundError")
