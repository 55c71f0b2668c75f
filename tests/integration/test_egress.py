"""What pods reach outside their own bridge. All of it is in network namespaces that the test makes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.engines import private_engine, remove_tables, tables
from tests.support.pods import Pod
from tests.support.worker import ROOT, WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
HOST: Final = "198.51.100.1"
OUTSIDE: Final = "198.51.100.2"
INTERNET: Final = ("203.0.113.5", "2001:db8:1::5")
PRIVATE: Final = (
    "10.9.9.9",
    "172.29.9.9",
    "192.168.77.1",
    "169.254.169.254",
    "100.100.100.200",
    "fd00:99::1",
)
ALLOWED: Final = "10.8.8.8"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - of a network namespace of the test
SERVER: Final = """
import socket, sys, threading
def serve(port):
    listening = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        with listening.accept()[0] as connection:
            connection.sendall(b"in")
threads = [threading.Thread(target=serve, args=(port,), daemon=True) for port in (53, 80)]
for each in threads: each.start()
print("serving", flush=True)
sys.stdin.read()
"""

EACH_SECOND: Final = f"""#!{sys.executable}
import runpy, sys
sys.path.insert(0, "{ROOT}")
from worker.process import runtime
runtime._RULES_EVERY_S = 1.0
sys.argv = ["worker", *sys.argv[3:]]
runpy.run_module("worker", run_name="__main__", alter_sys=True)
"""


class Outside:
    """Hosts beyond the Engine's host, in a network namespace of their own."""

    def __init__(self, engine: PrivateEngine) -> None:
        self._engine = engine
        self.namespace = f"{engine.namespace}-out"

    def start(self) -> None:
        own = self._engine.namespace
        self._ip("netns", "add", self.namespace)
        self._ip("-n", own, "link", "add", "out0", "type", "veth", "peer", "out1", "netns", self.namespace)
        for namespace, link, address in ((own, "out0", 1), (self.namespace, "out1", 2)):
            self._ip("-n", namespace, "link", "set", "lo", "up")
            self._ip("-n", namespace, "address", "add", f"198.51.100.{address}/24", "dev", link)
            self._ip("-n", namespace, "address", "add", f"2001:db8::{address}/64", "dev", link, "nodad")
            self._ip("-n", namespace, "link", "set", link, "up")
        for one in (*INTERNET, *PRIVATE, ALLOWED):
            nodad = ("nodad",) if ":" in one else ()
            self._ip("-n", self.namespace, "address", "add", one, "dev", "lo", *nodad)
        self._ip("-n", own, "route", "add", "default", "via", OUTSIDE)
        self._ip("-n", own, "-6", "route", "add", "default", "via", "2001:db8::2")
        # Pods' IPv6 addresses are not translated.
        self._ip("-n", self.namespace, "-6", "route", "add", "fd00:77::/64", "via", "2001:db8::1")

    def stop(self) -> None:
        self._ip("netns", "delete", self.namespace)

    def words(self) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.namespace}", "--"]

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)


@pytest.fixture(scope="module")
def lonely(scratch: Path) -> Iterator[PrivateEngine]:
    """An Engine whose network for pods also has IPv6, because somebody made it before the first worker."""
    engine = private_engine(scratch / "g", None)
    engine.start()
    import_busybox(engine)
    closed = "com.docker.network.bridge.enable_icc=false"
    engine.docker("network", "create", "-o", closed, "--ipv6", "--subnet", "fd00:77::/64", "pinacle")
    yield engine
    engine.destroy()


@pytest.fixture(scope="module")
def outside(lonely: PrivateEngine) -> Iterator[Outside]:
    outside = Outside(lonely)
    outside.start()
    with (
        subprocess.Popen(
            [*outside.words(), sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as there,
        subprocess.Popen(
            [*lonely.inside(), sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as here,
    ):
        for server in (there, here):
            assert server.stdout is not None
            assert server.stdout.readline() == b"serving\n"
        try:
            yield outside
        finally:
            there.communicate()
            here.communicate()
    outside.stop()


@pytest.fixture(scope="module")
def closed(
    scratch: Path, lonely: PrivateEngine, outside: Outside, settings: dict[str, str]
) -> Iterator[dict[str, str]]:
    """Settings of an installation that begins now and does not set what pods may reach."""
    redis = RedisServer(scratch / "gr")
    redis.start()
    own = {
        "DOCKER_HOST": lonely.url,
        "PINACLE_REDIS_URL": redis.url,
        "PINACLE_EGRESS_ALLOW": f"{ALLOWED}/32",
        "PINACLE_PUBLISH_ADDRESSES": EVERYWHERE,
    }
    yield {key: value for key, value in settings.items() if key != "PINACLE_EGRESS"} | own
    redis.stop()


@pytest.fixture(scope="module")
def caller(scratch: Path, closed: dict[str, str]) -> Iterator[Client]:
    worker, client = WorkerProcess(scratch, closed, "closing"), Client(closed["PINACLE_REDIS_URL"])
    try:
        worker.start()
        assert "egress_" not in worker.text()
        yield client
    finally:
        client.close()
        worker.stop()


@pytest.fixture(scope="module")
def pod(caller: Client, lonely: PrivateEngine) -> Iterator[Pod]:
    serving = "while :; do echo in | nc -l -p 80; done"
    port = {"container": 80, "host": 18080, "address": EVERYWHERE}
    spec = {**SPEC, "command": ["sh", "-c", serving], "ports": [port]}
    with Pod.running(caller, lonely, "shut", spec) as pod:
        yield pod


def reaches(pod: Pod, address: str, port: int = 80) -> bool:
    return pod.sh(f"nc -w 3 {address} {port} < /dev/null || true") == "in"


def gateways(engine: PrivateEngine) -> list[str]:
    found = json.loads(engine.docker("network", "inspect", "pinacle"))[0]["IPAM"]["Config"]
    return [each.get("Gateway", "fd00:77::1") for each in found]


def doctor(closed: dict[str, str]) -> dict[str, Any]:
    """Return the doctor's line about it."""
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "doctor", "--json"],
        cwd=ROOT,
        env={**os.environ, **closed},
        capture_output=True,
        check=False,
    )
    (line,) = [each for each in json.loads(done.stdout)["checks"] if each["name"] == "egress"]
    return dict(line)


def test_a_pod_reaches_the_internet_and_what_is_allowed(pod: Pod) -> None:
    assert {one: reaches(pod, one) for one in (*INTERNET, ALLOWED)} == dict.fromkeys(
        (*INTERNET, ALLOWED), True
    )


def test_a_pod_reaches_no_private_network_and_no_metadata_but_names(pod: Pod) -> None:
    """Port 53 stays open, as a host's own resolver may be there."""
    assert {one: reaches(pod, one) for one in PRIVATE} == dict.fromkeys(PRIVATE, False)
    assert {one: reaches(pod, one, 53) for one in PRIVATE} == dict.fromkeys(PRIVATE, True)


def test_a_pod_reaches_no_service_of_its_host_but_names(pod: Pod, lonely: PrivateEngine) -> None:
    places = [HOST, "2001:db8::1", *gateways(lonely)]
    assert {one: reaches(pod, one) for one in places} == dict.fromkeys(places, False)
    assert {one: reaches(pod, one, 53) for one in places} == dict.fromkeys(places, True)


def test_what_is_refused_is_refused_at_once(pod: Pod) -> None:
    """A program that looks for a cloud's metadata does not have to wait for its own time-out."""
    # An exit code above 128 means that it was ended.
    assert pod.sh("timeout 2 nc 169.254.169.254 80 < /dev/null || echo $?") == "1"


@pytest.mark.parametrize("place", ["the host", "outside"])
def test_a_published_port_answers(pod: Pod, outside: Outside, lonely: PrivateEngine, place: str) -> None:
    words, address = (lonely.inside(), "127.0.0.1") if place == "the host" else (outside.words(), HOST)
    asked = f"import socket; print(socket.create_connection(('{address}', 18080), 3).recv(2).decode())"

    def answers() -> bool:
        done = subprocess.run([*words, sys.executable, "-c", asked], capture_output=True, check=False)
        return done.stdout == b"in\n"

    wait_until(answers, 10, what="an answer of the published port")


def test_the_doctor_tries_it_from_a_pod_and_says_what_to_do(
    pod: Pod, lonely: PrivateEngine, closed: dict[str, str]
) -> None:
    assert doctor(closed)["status"] == "ok"
    subprocess.run([*lonely.inside(), "nft", "delete", "table", "inet", "pinacle-pinacle"], check=True)
    assert reaches(pod, "10.9.9.9")
    found = doctor(closed)
    assert found["status"] == "fail"
    assert "169.254.169.254/80" in found["detail"]
    rules = found["remedy"].split("nft '")[1].rstrip("'")
    subprocess.run([*lonely.inside(), "nft", rules], check=True)
    assert doctor(closed)["status"] == "ok"
    assert not reaches(pod, "10.9.9.9")


def test_a_worker_makes_the_rules_again_that_somebody_removed(
    scratch: Path, pod: Pod, lonely: PrivateEngine, closed: dict[str, str]
) -> None:
    """As a reload of the host's whole filter does. This second worker checks every second."""
    python = scratch / "each-second"
    python.write_text(EACH_SECOND)
    python.chmod(0o755)
    worker = WorkerProcess(scratch, closed, "renewing", python=str(python))
    worker.start()
    try:
        remove_tables(lonely)
        wait_until(lambda: tables(lonely) == ["pinacle-pinacle"], 30, what="the rules, made again")
    finally:
        worker.stop()
    assert not reaches(pod, "10.9.9.9")


def test_a_network_that_is_made_again_is_closed_before_its_first_pod(
    caller: Client, lonely: PrivateEngine, pod: Pod, closed: dict[str, str]
) -> None:
    """Its bridge has another name, and its label says how the installation began."""
    pod.call("stop")
    lonely.docker("network", "rm", "pinacle")
    with Pod.running(caller, lonely, "later", SPEC) as later:
        assert not reaches(later, "10.9.9.9")
        assert reaches(later, INTERNET[0])
    label = lonely.docker("network", "inspect", "-f", '{{index .Labels "dev.pinacle.egress"}}', "pinacle")
    assert label.strip() == "closed"
    assert pod.call("start")["phase"] == "running"
    assert not reaches(pod, "10.9.9.9")
