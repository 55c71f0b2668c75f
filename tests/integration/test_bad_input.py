"""Bad input is refused with a text that helps, and nothing is made or written."""

from typing import Any, Final

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine

GOOD: Final = {"image": "pinacle-busybox"}
CANARY: Final = "canary-bad-input"

BAD_IDS: Final = {
    "empty": "",
    "64 characters": "a" * 64,
    "a path": "../x",
    "a space": "a b",
    "not ASCII": "é",
    "a leading dash": "-a",
    "a number": 5,
    "null": None,
    "a list": ["a"],
}

BAD_SPECS: Final[dict[str, tuple[Any, str, str]]] = {
    "missing": (None, "spec: is missing", "allowed: an object"),
    "not an object": ("busybox", "spec: is a string", "allowed: an object"),
    "without image": ({}, "spec.image: is missing", "allowed: an image reference"),
    "an unknown key": ({**GOOD, "comand": ["x"]}, "spec.comand: is not a key", "did you mean 'command'?"),
    "an unknown tier": ({**GOOD, "tier": "dev.huge"}, "spec.tier: 'dev.huge'", "allowed: dev.small"),
    "an unknown runtime": ({**GOOD, "runtime": "kata"}, "spec.runtime: 'kata'", "runc"),
    "a port of 0": ({**GOOD, "ports": [{"container": 0}]}, "spec.ports[0].container: 0", "1 to 65535"),
    "a port of 65536": ({**GOOD, "ports": [{"container": 1, "host": 65536}]}, "host: 65536", "1 to 65535"),
    "a port twice": (
        {**GOOD, "ports": [{"container": 80}, {"container": 80}]},
        "spec.ports",
        "each port once",
    ),
    "a host port twice": (
        {**GOOD, "ports": [{"container": 80, "host": 8080}, {"container": 81, "host": 8080}]},
        "host port 8080",
        "each port once",
    ),
    "an address that is none": (
        {**GOOD, "ports": [{"container": 1, "address": "x"}]},
        "address: 'x'",
        "IP address",
    ),
    "env with a number": ({**GOOD, "env": {"A": 5, "B": CANARY}}, "spec.env.A", "values are strings"),
    "env as a list": ({**GOOD, "env": [f"A={CANARY}"]}, "spec.env", "values are strings"),
    "env with a bad name": ({**GOOD, "env": {f"A={CANARY}": "x"}}, "spec.env", "names without '='"),
    "command as a string": ({**GOOD, "command": "sh"}, "spec.command: 'sh'", "a list of strings"),
    "init as a string": ({**GOOD, "init": "yes"}, "spec.init: 'yes'", "true or false"),
    "an endless stop": ({**GOOD, "stop_timeout_s": 601}, "spec.stop_timeout_s: 601", "from 0 to 600"),
    "an unknown restart": (
        {**GOOD, "restart": "maybe"},
        "spec.restart: 'maybe'",
        "always, on-failure, never",
    ),
    "a port of the host's own": (
        {**GOOD, "ports": [{"container": 1, "host": 80}]},
        "spec.ports[0].host: 80 is not allowed",
        "1024 to 65535 (PINACLE_PUBLISH_PORTS)",
    ),
    "an address of the network": (
        {**GOOD, "ports": [{"container": 1, "address": "::"}]},
        "spec.ports[0].address: :: is not allowed",
        "allowed: 127.0.0.1, 0.0.0.0 (PINACLE_PUBLISH_ADDRESSES)",
    ),
    "a runtime that the host has": (
        {**GOOD, "runtime": "io.containerd.runc.v2"},
        "spec.runtime: 'io.containerd.runc.v2' is not allowed",
        "(PINACLE_RUNTIMES)",
    ),
    "an image that is a path": ({"image": "../../containers/json"}, "spec.image", "name[:tag]"),
}


NOBODYS: Final = "127.0.0.1:9"
"""A registry that is allowed, and does not answer."""


@pytest.fixture(scope="module")
def settings(settings: dict[str, str]) -> dict[str, str]:
    return {
        **settings,
        "PINACLE_REGISTRIES": f"docker.io,{NOBODYS}",
        "PINACLE_PUBLISH_ADDRESSES": "127.0.0.1,0.0.0.0",
    }


BY_POLICY: Final = frozenset(
    {
        "an unknown runtime",
        "a port of the host's own",
        "an address of the network",
        "a runtime that the host has",
    }
)
"""What only one host may refuse, and another allow."""


@pytest.fixture(autouse=True)
def nothing_is_made(client: Client, engine: PrivateEngine, busybox: str) -> Any:
    """Check around each test that no container, volume or record appears; only the base of an image may."""

    def world() -> tuple[list[str], Any]:
        names = engine.docker("ps", "-a", "--format", "{{.Names}}") + engine.docker("volume", "ls", "-q")
        return [name for name in names.split() if not name.startswith("pinacle-base-")], client.call("list")

    before = world()
    yield
    assert world() == before


@pytest.mark.parametrize("name", BAD_IDS)
@pytest.mark.parametrize("task", ["create", "start", "stop", "restart", "update", "delete", "get"])
def test_a_bad_pod_id_is_refused_by_every_task(client: Client, task: str, name: str) -> None:
    """With the rule in the text."""
    more = (GOOD,) if task in {"create", "update"} else ()
    text = client.error(task, BAD_IDS[name], *more)
    assert text.startswith("InvalidInputError: pod_id: ")
    assert "allowed: 1 to 63 of A-Z a-z 0-9 _ -" in text


@pytest.mark.parametrize("name", BAD_SPECS)
@pytest.mark.parametrize("task", ["create", "update"])
def test_a_bad_spec_is_refused(client: Client, task: str, name: str) -> None:
    """The text names the field, what was wrong and what is allowed, and has no value of env."""
    spec, wrong, allowed = BAD_SPECS[name]
    if task == "update" and name in BY_POLICY:
        return  # For a pod that does not exist, that is what the error says.
    text = client.error(task, "bad", spec, **({"replace": True} if task == "update" else {}))
    assert text.startswith("InvalidInputError: ")
    assert wrong in text
    assert allowed in text
    assert CANARY not in text


@pytest.mark.parametrize("task", ["start", "stop", "restart", "update", "get"])
def test_a_pod_that_does_not_exist_is_an_error(client: Client, task: str) -> None:
    """Except for its deletion, which is then simply done."""
    more = (GOOD,) if task == "update" else ()
    assert client.error(task, "nobody", *more).startswith("PodNotFoundError: pod_id: pod 'nobody'")


def test_deleting_a_pod_that_does_not_exist_is_done(client: Client) -> None:
    """The answer says that there was none, however often; and afterwards there is none either."""
    for _ in range(2):
        answer = client.call("delete", "never-was")
        assert (answer["phase"], answer["existed"]) == ("deleted", False)
        assert client.error("get", "never-was").startswith("PodNotFoundError: pod_id: pod 'never-was' does")
    assert client.error("start", "never-was").startswith("PodNotFoundError: pod_id: pod 'never-was' does not")


def test_a_pod_that_was_deleted_existed(client: Client, engine: PrivateEngine) -> None:
    """Also one without a record, if there is a volume of it; its tombstone is shown."""
    with Pod.running(client, engine, "was", GOOD):
        pass
    engine.docker("volume", "create", "pinacle-vol-strayed-home")
    for pod_id in ("was", "strayed"):
        answer = client.call("delete", pod_id)
        assert (answer["phase"], answer["existed"]) == ("deleted", True)
        assert client.call("get", pod_id)["phase"] == "deleted"
        assert "was deleted" in client.error("start", pod_id)


def test_an_image_that_does_not_exist_is_an_error(client: Client) -> None:
    """With its name, whether its registry denies it or cannot be asked."""
    text = client.error("create", "bad", {"image": f"{NOBODYS}/nobody/nothing:1"})
    assert "spec.image: '127.0.0.1:9/nobody/nothing:1' is not on this host" in text


def test_a_flag_that_is_none_is_an_error(client: Client) -> None:
    assert "adopt: 'yes' is not allowed" in client.error("create", "bad", GOOD, adopt="yes")
    assert "force: 1 is not allowed" in client.error("restart", "bad", force=1)


def test_another_spec_for_a_pod_that_exists_points_to_update(client: Client, engine: PrivateEngine) -> None:
    """And the pod stays as it is."""
    with Pod.running(client, engine, "taken", GOOD) as pod:
        before = pod.container_id()
        text = client.error("create", "taken", {**GOOD, "hostname": "other"})
        assert "exists with another spec; to change it call pods.update('taken', spec)" in text
        assert pod.container_id() == before


def test_a_host_port_of_another_pod_is_refused_even_when_that_is_stopped(
    client: Client, engine: PrivateEngine
) -> None:
    """The text names the port and who has it."""
    spec = {**GOOD, "ports": [{"container": 80, "host": 28080}]}
    with Pod.running(client, engine, "first", spec) as pod:
        pod.call("stop")
        for address in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - refused before anything binds it
            wanted = {**GOOD, "ports": [{"container": 80, "host": 28080, "address": address}]}
            text = client.error("create", "second", wanted)
            assert text.startswith("PortTakenError: spec.ports[0].host: 28080/tcp")
            assert "reserved by pod 'first'" in text


def test_a_foreign_container_with_the_pods_name_is_refused_and_untouched(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """The answer names it, and it runs on."""
    foreign = engine.docker("run", "-d", "--name", "pinacle-pod-foreign", busybox).strip()
    try:
        text = client.error("create", "foreign", GOOD)
        assert text.startswith("ForeignObjectError: container pinacle-pod-foreign")
        assert engine.docker("inspect", "-f", "{{.State.Running}}", foreign).strip() == "true"
    finally:
        engine.docker("rm", "-f", foreign)
