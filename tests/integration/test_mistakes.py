"""Ordinary mistakes at the command line: what was typed, how it ends, and the sentence that helps."""

import json
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from typing import Any, Final, NamedTuple

import pytest

from tests.support.commands import Pinacle
from tests.support.held_port import held_port
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")


class _Mistake(NamedTuple):
    words: str
    code: int
    told: tuple[str, ...]
    """Parts of the one line: what was wrong, and what would be right."""
    stdin: Any = None
    """A spec; a string as it is."""
    more: Mapping[str, str] = {}
    """What is set in the environment."""


_CREATE: Final = "pods create wrong --spec -"
_GOOD: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
_THERE: Final = {**_GOOD, "ports": [{"container": 80, "host": 28090}]}
_PASSWORD: Final = "canary-mistakes-77"  # noqa: S105 - of no Redis
_LONG: Final = f"/tmp/{'a-long-name/' * 9}docker.sock"
_MISTAKES: Final = {
    "wrong image name": _Mistake(
        "pods create wrong --image Pinacle-BusyBox",
        1,
        (
            "spec.image: 'Pinacle-BusyBox' is not an image reference",
            "allowed: ",
            "a name of lower-case letters",
        ),
    ),
    "image without network": _Mistake(
        "pods create wrong --image pinacle-bosybux",
        4,
        ("spec.image: 'pinacle-bosybux' is not on this host", "its registry cannot be asked", "Try again"),
    ),
    "no image": _Mistake("pods create wrong", 2, ("say which image: --image NAME",)),
    "tier typo": _Mistake(
        "pods create wrong --image pinacle-busybox --tier dev.smal",
        1,
        ("spec.tier: 'dev.smal' is not a tier; allowed: dev.small",),
    ),
    "unknown key": _Mistake(
        _CREATE, 1, ("spec.comand: is not a key", "did you mean 'command'?"), {**_GOOD, "comand": ["x"]}
    ),
    "bad id": _Mistake(
        "pods create a.b --image pinacle-busybox", 1, ("pod_id: ", "allowed: 1 to 63 of A-Z a-z 0-9 _ -")
    ),
    "port taken by a pod": _Mistake(
        "pods create wrong --image pinacle-busybox --port 80:28090",
        1,
        ("spec.ports[0].host: 28090/tcp", "reserved by pod 'there'"),
    ),
    "create twice with another spec": _Mistake(
        "pods create there --image pinacle-busybox --tier dev.large",
        1,
        ("pod 'there' exists with another spec", "pods.update"),
    ),
    "command as a string": _Mistake(
        _CREATE, 1, ("spec.command: ", "a list of strings"), {**_GOOD, "command": "sleep 5"}
    ),
    "DOCKER_HOST of another form": _Mistake(
        "pods shell there true",
        2,
        ("DOCKER_HOST: ", "not an Engine's address", "did you mean unix:///run/docker.sock?"),
        more={"DOCKER_HOST": "/run/docker.sock"},
    ),
    "DOCKER_HOST that is no Engine": _Mistake(
        "pods shell there true",
        4,
        ("needs the Engine that has the pod", "Is it running"),
        more={"DOCKER_HOST": "tcp://127.0.0.1:9"},
    ),
    "long path": _Mistake(
        "pods shell there true",
        2,
        ("DOCKER_HOST: ", "the kernel takes 107", "a symbolic link to it with a shorter path"),
        more={"DOCKER_HOST": f"unix://{_LONG}"},
    ),
    "spec that is no JSON": _Mistake(_CREATE, 2, ("standard input is not JSON: ", "line 1"), "image: x"),
    "spec that is no object": _Mistake(_CREATE, 2, ("is not a JSON object, such as",), ["x"]),
    "spec file that is not there": _Mistake("pods create wrong --spec no-such.json", 2, ("no-such.json: ",)),
    "no TTY": _Mistake("pods delete there", 2, ("there is no terminal to ask on", "add --yes")),
    "port that is none": _Mistake(
        "pods create wrong --image pinacle-busybox --port http", 2, ("allowed: CONTAINER[:HOST][/udp]",)
    ),
    "port the wrong way round": _Mistake(
        "pods create wrong --image pinacle-busybox --port 8080:80",
        1,
        ("CONTAINER:HOST", "spec.ports[0].host: 80 is not allowed", "1024 to 65535"),
    ),
    "setting misspelt": _Mistake(
        "pods ls",
        2,
        ("PINACLE_REDIS_ULR is no setting", "did you mean PINACLE_REDIS_URL?"),
        more={"PINACLE_REDIS_ULR": f"redis://:{_PASSWORD}@127.0.0.1/0"},
    ),
    "password with a slash": _Mistake(
        "pods ls",
        2,
        ("PINACLE_REDIS_URL: ", "PINACLE_REDIS_PASSWORD"),
        more={"PINACLE_REDIS_URL": f"redis://:{_PASSWORD}/x@127.0.0.1:6379/0"},
    ),
    "stop of an unknown pod": _Mistake("pods stop nobody", 1, ("pod 'nobody' does not exist", "pods list")),
    "command that does not exist": _Mistake(
        "pod ls", 2, ("No such command 'pod'. Did you mean 'pods'? See: pinacle --help",)
    ),
    "phase that is none": _Mistake(
        "pods ls --phase run", 2, ("'--phase': 'run' is not one of 'pending', 'running'", "--help")
    ),
    "update of nothing": _Mistake("pods update there", 2, ("say what to change: --image",)),
}


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    """The command on the module's worker, where there is a pod already."""
    client.call("create", "there", _THERE)
    return Pinacle(settings)


@pytest.fixture(autouse=True)
def _nothing_is_lost_or_left(pinacle: Pinacle, client: Client) -> Iterator[None]:
    """After each mistake there is the one pod, as it was."""
    before = client.call("get", "there")
    yield
    assert [pod["pod_id"] for pod in client.call("list")["pods"] if pod["phase"] != "deleted"] == ["there"]
    after = client.call("get", "there")
    kept = ("phase", "generation", "container_id", "volumes", "ports")
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize("name", _MISTAKES)
def test_a_mistake_is_one_line_that_helps(pinacle: Pinacle, name: str) -> None:
    """And nothing was made."""
    mistake = _MISTAKES[name]
    given = mistake.stdin
    stdin = given if given is None or isinstance(given, str) else json.dumps(given)
    command = Pinacle(pinacle.settings, mistake.more)
    line = command(*mistake.words.split(), stdin=stdin, code=mistake.code).error()
    for part in mistake.told:
        assert part in line
    assert _PASSWORD not in line


class _Accepted(NamedTuple):
    """What only shows once it was accepted: the pod says what is wrong."""

    spec: dict[str, Any]
    phase: str
    told: tuple[str, ...]
    """Parts of what `pods get` says."""
    held: int | None = None
    """A port that a program of the host has meanwhile."""


_ACCEPTED: Final = {
    "port taken by a program": _Accepted(
        {"ports": [{"container": 80, "host": 28091}]},
        "failed",
        ("28091", "Another program of this host uses the port: free it, or update the pod"),
        held=28091,
    ),
    "user not in image": _Accepted({"user": "nosuchuser"}, "failed", ("nosuchuser", "passwd")),
    "crash at once": _Accepted(
        {"command": ["sh", "-c", "echo no such table: users; exit 3"]},
        "backoff",
        ("it ended by itself with exit code 3", "times in a row", "no such table: users"),
    ),
    "OOM": _Accepted(
        {"command": ["dd", "if=/dev/zero", "of=/dev/null", "bs=2500M", "count=1"], "restart": "never"},
        "failed",
        ("exit code 137 (SIGKILL), out of memory (dev.small has 2 GiB)",),
    ),
}


@pytest.mark.parametrize("name", _ACCEPTED)
def test_a_pod_says_what_is_wrong_with_it(
    pinacle: Pinacle, client: Client, engine: PrivateEngine, name: str
) -> None:
    """`create` points to `get`, if it is known by then, and that says it; a deletion leaves nothing."""
    mistake = _ACCEPTED[name]
    with nullcontext() if mistake.held is None else held_port(engine, mistake.held):
        done = pinacle(*_CREATE.split(), stdin=json.dumps({**_GOOD, **mistake.spec}), code=None)
        assert "Traceback" not in done.err
        assert done.code in {0, 1, 3}
        if done.code == 1:
            assert done.err == "accepted, and in trouble; look into it: pinacle pods get wrong\n"
        wait_until(lambda: client.call("get", "wrong")["phase"] == mistake.phase, 60, what=mistake.phase)
        shown = " ".join(pinacle("pods", "get", "wrong").out.split())
        for part in mistake.told:
            assert part in shown
    assert client.call("delete", "wrong")["phase"] == "deleted"
    assert "pinacle-vol-wrong-" not in engine.docker("volume", "ls", "-q")


def test_the_deletion_of_an_unknown_pod_says_that_there_was_none(pinacle: Pinacle) -> None:
    """It is no error, as it is as was wished; a typing error is noticed all the same."""
    done = pinacle("pods", "delete", "theer", "--yes")
    assert (done.out, done.err) == ("pod theer is deleted\n", "there was no such pod: theer\n")
