"""Host ports that programs of the host use: a chosen one is moved, a requested one is an error."""

from typing import Any, Final

import pytest
from redis import Redis

from tests.support.held_port import held_port
from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1, "ports": [{"container": 80}]}


def port_of(answer: dict[str, Any]) -> int:
    return int(answer["ports"][0]["host"])


def reserved(url: str, pod_id: str) -> list[str]:
    """Return the host ports that are reserved for a pod."""
    with Redis.from_url(url, decode_responses=True) as redis:
        hashes = [redis.hgetall(key) for key in redis.keys("pinacle:ports:*")]
    return [field.split("/")[1] for each in hashes for field, owner in each.items() if owner == pod_id]


def test_a_new_pod_gets_the_next_port_if_a_program_has_the_chosen_one(
    client: Client, engine: PrivateEngine, settings: dict[str, str]
) -> None:
    """The answer shows it, it is reserved, and it stays."""
    with Pod.running(client, engine, "moved", SPEC) as pod:
        before = pod.call("get")
        first = port_of(before)
    with held_port(engine, first), Pod.running(client, engine, "moved", SPEC) as pod:
        answer = pod.call("get")
        second = port_of(answer)
        assert second != first
        assert f"127.0.0.1:{second}" in engine.docker("port", pod.container)
        assert reserved(settings["PINACLE_REDIS_URL"], "moved") == [str(second)]
        # It was deleted and created; nobody asked for anything else.
        assert (answer["generation"], answer["restarts"]) == (before["generation"] + 2, 0)
        assert port_of(pod.call("update", {**SPEC, "hostname": "other"})) == second
        assert port_of(pod.call("restart", force=True)) == second


def test_a_pod_that_ran_keeps_its_port_until_that_cannot_be_had(
    client: Client, engine: PrivateEngine
) -> None:
    """Its data stays, in a container that was made again; afterwards the new port stays its own."""
    with Pod.running(client, engine, "ran", SPEC) as pod:
        first = port_of(pod.call("get"))
        pod.sh("echo mine > /root/file; mkdir /data; echo mine > /data/file")
        pod.call("stop")
        with held_port(engine, first):
            pod.call("start")
            wait_until(lambda: pod.call("get")["phase"] == "running", 40, what="another port")
            second = port_of(pod.call("get"))
            assert second != first
            assert pod.sh("cat /root/file /data/file") == "mine\nmine"
        pod.call("stop")
        assert port_of(pod.call("start")) == second


def test_a_port_that_was_asked_for_is_an_error_while_a_program_has_it(
    client: Client, engine: PrivateEngine
) -> None:
    """Another port would be of no use to the caller."""
    asked = {**SPEC, "ports": [{"container": 80, "host": 28081}, {"container": 81}]}
    with held_port(engine, 28081):
        answer = client.call("create", "asked", asked)
        try:
            assert answer["phase"] == "failed"
            assert "28081" in answer["last_error"]
            assert answer["ports"][0]["host"] == 28081
        finally:
            client.call("delete", "asked")
