"""What the doctor finds on a host where pods, records and ports are not all well, and how it ends."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.commands import Pinacle
from tests.support.pods import Pod
from tests.support.worker import ROOT
from worker.cli.doctor.groups import GROUPS
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1, "init": False}
PORT: Final = {**SPEC, "init": True, "ports": [{"container": 80}]}
TRY: Final = """
import asyncio, sys
from worker.cli.doctor.port_checks import Port, tried
found = asyncio.run(tried([Port("a", "127.0.0.1", int(number)) for number in sys.argv[1:]]))
print(*(how.name for how in found.values()))
"""
"""Run in the Engine's network, where the ports are published."""


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], redis_server: RedisServer) -> dict[str, str]:
    redis_server.flush()
    return settings


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    return Pinacle(settings)


def checks(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in report["checks"]}


@contextmanager
def spoiled(redis: Redis, pod_id: str, field: str, change: dict[str, Any]) -> Iterator[None]:
    """Put something into a record that this version did not write."""
    key = f"pinacle:pod:{pod_id}"
    before = str(redis.hget(key, field))
    redis.hset(key, field, json.dumps({**json.loads(before), **change}))
    yield
    redis.hset(key, field, before)


def test_pods_in_trouble_are_named_and_are_no_failure_of_the_installation(
    pinacle: Pinacle, client: Client
) -> None:
    assert client.call("create", "impossible", {**SPEC, "command": ["/not-there"]})["phase"] == "failed"
    found = pinacle("doctor", "--json", code=None).json()
    check = checks(found)["pods"]
    assert (check["status"], check["group"]) == ("warn", "workers and pods")
    assert check["detail"].startswith("1 failed. In trouble: impossible is failed: ")
    assert "pinacle pods get impossible" in check["remedy"]
    assert "pods" in found["summary"]
    assert client.call("delete", "impossible")["phase"] == "deleted"
    assert checks(pinacle("doctor", "--json", code=None).json())["pods"]["status"] == "ok"


def test_records_of_another_version_are_named_and_unreadable_ones_fail(
    pinacle: Pinacle, client: Client, engine: PrivateEngine, settings: dict[str, str]
) -> None:
    with (
        Redis.from_url(settings["PINACLE_REDIS_URL"], decode_responses=True) as redis,
        Pod.running(client, engine, "dated", {**SPEC, "init": True}),
    ):
        with spoiled(redis, "dated", "intent", {"of_tomorrow": 1}):
            check = checks(pinacle("doctor", "--json", code=None).json())["records"]
            assert check["status"] == "warn"
            assert "(of_tomorrow): dated" in check["detail"]
        with spoiled(redis, "dated", "intent", {"spec": {"image": ["secret"]}}):
            report = pinacle("doctor", "--json", code=1).json()
            assert report["ok"] is False
            assert checks(report)["records"]["status"] == "fail"
            assert (
                "dated. the record cannot be read: intent.spec.image" in checks(report)["records"]["detail"]
            )
            assert "secret" not in json.dumps(report)
        assert checks(pinacle("doctor", "--json", code=None).json())["records"]["status"] == "ok"


def test_ports_are_tried_where_they_are_published(
    pinacle: Pinacle, client: Client, engine: PrivateEngine
) -> None:
    """Here they are in a network of the Engine's own, which is said; there, by what is behind each."""
    with (
        Pod.running(client, engine, "serves", PORT) as serves,
        Pod.running(client, engine, "idle", PORT) as idle,
    ):
        engine.docker("exec", "-d", serves.container, "nc", "-l", "-p", "80", "-e", "sleep", "60")
        numbers = [str(pod.call("get")["ports"][0]["host"]) for pod in (serves, idle)]

        def tried() -> str:
            return subprocess.run(
                [*engine.inside(), sys.executable, "-c", TRY, *numbers],
                check=True,
                capture_output=True,
                text=True,
                cwd=ROOT,
            ).stdout.strip()

        # Each try is a connection, and that program takes one.
        wait_until(lambda: tried() == "OPEN SILENT", 10, what="a program behind the port")
        check = checks(pinacle("doctor", "--json", code=None).json())["published ports"]
        assert check["status"] == "warn"
        assert "not on the Engine's network" in check["detail"]
        assert "idle at 127.0.0.1" in check["detail"]


def test_a_report_is_in_groups_and_ends_with_a_line(pinacle: Pinacle) -> None:
    """Whose names are those of the groups, in their order; with all that was found in its last line."""
    odd = Pinacle({**pinacle.settings, "PINACLE_OF_A_LATER_VERSION": "1", "PINACLE_MIN_FREE_MB": "999999999"})
    shown = odd("doctor", code=1).out
    titles = [line for line in shown.splitlines() if line in GROUPS]
    assert titles == list(GROUPS)
    last = shown.splitlines()[-1]
    assert re.fullmatch(r"\d+ checks: \d+ ok, \d+ warn, \d+ fail\. Look at: disk space.*", last), last
    assert "settings" in last
    assert re.search(r"^warn +settings +ignored, .*PINACLE_OF_A_LATER_VERSION", shown, re.MULTILINE)
    report = odd("doctor", "--json", code=1).json()
    assert report["summary"] == last
    assert sum(report["counts"].values()) == len(report["checks"])
    assert {check["group"] for check in report["checks"]} == set(GROUPS)
