"""One record that cannot be read: every other pod of the host is kept as usual."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1, "env": {"KEY": "secret"}}


@pytest.fixture
def redis(settings: dict[str, str]) -> Iterator["Redis"]:
    with Redis.from_url(settings["PINACLE_REDIS_URL"], decode_responses=True) as redis:
        yield redis


def spoil(redis: "Redis", pod_id: str, field: str, change: dict[str, Any]) -> str:
    """Change a part of a record behind the system's back; return what was there."""
    before = str(redis.hget(f"pinacle:pod:{pod_id}", field))
    redis.hset(f"pinacle:pod:{pod_id}", field, json.dumps({**json.loads(before), **change}))
    return before


@pytest.fixture(autouse=True)
def image(busybox: str) -> str:
    return busybox


WRONG_SPEC: Final = ("intent", {"spec": {"image": ["secret"], "env": {"KEY": "secret"}}}, "intent.spec.image")
WRONG_LAYOUT: Final = ("state", {"layout": [{"name": "home"}]}, "state.layout.0.path")


@pytest.mark.parametrize("spoiled", [WRONG_SPEC, WRONG_LAYOUT])
def test_it_is_failed_and_left_alone_and_can_be_deleted(
    client: Client, engine: PrivateEngine, redis: "Redis", spoiled: tuple[str, dict[str, Any], str]
) -> None:
    """Its container and volumes stay; the record works again when the changed part is put back."""
    field, change, said = spoiled
    with Pod.running(client, engine, "bad", SPEC) as bad, Pod.running(client, engine, "good", SPEC) as good:
        bad.sh("echo mine > /root/file")
        container_id = bad.container_id()
        before = spoil(redis, "bad", field, change)
        good.lose_container()
        good.wait_for_another_container()
        assert client.call("reconcile")["pods"] == 2
        shown = {pod["pod_id"]: pod for pod in client.call("list")["pods"]}
        assert shown["bad"]["phase"] == "failed"
        assert f"cannot be read: {said}" in shown["bad"]["last_error"]
        assert "secret" not in json.dumps(shown)
        assert bad.call("get")["last_error"] == shown["bad"]["last_error"]
        for task in ("stop", "start", "restart"):
            assert client.error(task, "bad").startswith("RecordUnreadableError: pod_id: pod 'bad'"), task
        assert bad.container_id() == container_id
        assert bad.sh("cat /root/file") == "mine"
        redis.hset("pinacle:pod:bad", field, before)
        assert bad.call("restart")["phase"] == "running"
        assert bad.container_id() == container_id
        spoil(redis, "bad", field, change)
        assert bad.call("delete")["phase"] == "deleted"
        assert bad.container_id() is None
        assert "pinacle-vol-bad-" not in engine.docker("volume", "ls", "-q")


def test_a_whole_new_spec_fixes_one_whose_spec_cannot_be_read(
    client: Client, engine: PrivateEngine, redis: "Redis"
) -> None:
    """Such as one with a key that only a later worker knows."""
    with Pod.running(client, engine, "later", SPEC) as pod:
        pod.sh("echo mine > /root/file")
        spoil(redis, "later", "intent", {"spec": {**SPEC, "devices": ["/dev/kvm"]}})
        assert "intent.spec.devices" in pod.call("get")["last_error"]
        assert "replace=true" in pod.client.error("update", pod.id, {"hostname": "later"})
        assert pod.call("update", {**SPEC, "hostname": "later"}, replace=True)["phase"] == "running"
        assert pod.sh("hostname; cat /root/file") == "later\nmine"
