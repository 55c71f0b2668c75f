"""What pods use, as the Engine measures it: by tasks and by the command line."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.commands import Pinacle
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

MB: Final = 10**6
SPEC: Final[dict[str, Any]] = {
    "image": "pinacle-busybox",
    "stop_timeout_s": 0,
    "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1000 & wait; done"],
}


@pytest.fixture(scope="module")
def settings(settings: dict[str, str]) -> dict[str, str]:
    return {**settings, "PINACLE_DISK_INTERVAL_S": "0.2"}


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


def test_what_a_pod_has_on_the_disk_is_measured_in_the_background(pod: Pod) -> None:
    """In all its volumes together, but nothing of its image's programs, which pods share."""

    def used() -> int:
        return int(pod.call("stats")["pods"][0]["disk_bytes"] or 0)

    wait_until(lambda: used() > 0, 20, what="a measurement")
    before = used()
    assert before < 10 * MB
    for directory in ("/home", "/var", "/usr"):
        pod.sh(f"dd if=/dev/urandom of={directory}/file bs=1M count=10 2>/dev/null; sync")
    wait_until(lambda: used() > before + 29 * MB, 20, what="its files")
    answer = pod.call("stats")["pods"][0]
    assert answer["disk_bytes"] < before + 35 * MB
    assert answer["disk_limit_bytes"] == 20 * 10**9
    assert answer["disk_measured_at"][:4] == answer["measured_at"][:4]
    pod.sh("rm /home/file /var/file /usr/file")
    wait_until(lambda: used() < before + MB, 20, what="its removal")


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
