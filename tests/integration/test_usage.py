"""What pods use, as the Engine measures it: by tasks and by the command line."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.commands import Pinacle
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine

SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 0,
    "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1000 & wait; done"],
}


@pytest.fixture(scope="module")
def pod(client: Client, engine: PrivateEngine, busybox: str) -> Iterator[Pod]:
    with Pod.running(client, engine, "used", SPEC) as pod:
        yield pod


def test_what_a_pod_uses_is_measured(pod: Pod) -> None:
    before = pod.call("stats")["pods"][0]
    pod.sh("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    answer = pod.call("stats")
    after = answer["pods"][0]
    assert answer["unmeasured"] == []
    assert (after["pod_id"], after["restarts"]) == ("used", 0)
    assert after["measured_at"] > before["measured_at"]
    assert after["started_at"] == before["started_at"] < before["measured_at"]
    assert after["cpu_seconds"] > before["cpu_seconds"] + 0.05
    assert 0 < after["memory_bytes"] < after["memory_limit_bytes"] == 2 * 2**30
    assert 1 <= after["pids"] < 20 < after["pids_limit"]


def test_all_running_pods_of_a_host_are_measured_and_no_other(
    client: Client, engine: PrivateEngine, pod: Pod
) -> None:
    with Pod.running(client, engine, "unused", SPEC) as other:
        host = client.call("stats")["host"]
        named = client.call("stats", host=host)
        assert {"unused", "used"} <= {each["pod_id"] for each in named["pods"]}
        other.call("stop")
        assert "unused" not in {each["pod_id"] for each in client.call("stats")["pods"]}
        assert "does not run" in client.error("stats", "unused")
    assert "unused" in client.error("stats", "unused")
    assert "host" in client.error("stats", None, "no-such-host")
    assert "one of the two" in client.error("stats", "used", host)


def test_the_command_line_shows_it(pod: Pod, settings: dict[str, str]) -> None:
    pinacle = Pinacle(settings)
    table = pinacle("pods", "stats", "used").out
    assert "used" in table
    assert "2.0 GiB" in table
    answer = pinacle("pods", "stats", "--json").json()
    assert "used" in {each["pod_id"] for each in answer["pods"]}


def test_top_without_a_terminal_is_one_table(pod: Pod, settings: dict[str, str]) -> None:
    pinacle = Pinacle(settings)
    table = pinacle("top").out
    assert [line.split()[:2] for line in table.splitlines() if line.startswith("used")] == [
        ["used", "running"]
    ]
    shown = pinacle("top", "--json").json()
    [used] = [each for each in shown["pods"] if each["pod_id"] == "used"]
    assert (used["phase"], used["usage"]["pod_id"]) == ("running", "used")


def test_top_on_a_terminal_ends_with_ctrl_c(pod: Pod, settings: dict[str, str]) -> None:
    code, shown = Pinacle(settings).on_terminal("top", prompt="used", typed="\x03")
    assert code == 130
    assert "changed nothing" in shown
    assert "Traceback" not in shown
