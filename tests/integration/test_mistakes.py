"""Ordinary mistakes at the command line: what was typed, how it ends, and the sentence that helps."""

import json
from typing import Any, Final, NamedTuple

import pytest

from tests.support.commands import Pinacle
from worker.local.client import Client

pytestmark = pytest.mark.usefixtures("busybox")


class _Mistake(NamedTuple):
    words: str
    code: int
    told: tuple[str, ...]
    """Parts of the one line: what was wrong, and what would be right."""
    stdin: Any = None
    """A spec; a string as it is."""


_CREATE: Final = "pods create wrong --spec -"
_GOOD: Final = {"image": "pinacle-busybox"}
_MISTAKES: Final = {
    "wrong image name": _Mistake("pods create wrong --image pinacle-bosybux", 4, ("pinacle-bosybux",)),
    "no image": _Mistake("pods create wrong", 2, ("say which image: --image NAME",)),
    "tier typo": _Mistake(
        "pods create wrong --image pinacle-busybox --tier dev.smal",
        1,
        ("spec.tier: 'dev.smal' is not a tier; allowed: dev.small",),
    ),
    "unknown key": _Mistake(
        _CREATE, 1, ("spec.comand: is not a key", "did you mean 'command'?"), {**_GOOD, "comand": ["x"]}
    ),
    "bad id": _Mistake("pods create a.b --image pinacle-busybox", 1, ("pod_id: ", "allowed: ")),
    "create twice with another spec": _Mistake(
        "pods create there --image pinacle-busybox --tier dev.large",
        1,
        ("pod 'there' exists with another spec", "pods.update"),
    ),
    "command as a string": _Mistake(
        _CREATE, 1, ("spec.command: ", "a list of strings"), {**_GOOD, "command": "sleep 5"}
    ),
    "spec that is no JSON": _Mistake(_CREATE, 2, ("standard input is not JSON: ", "line 1"), "image: x"),
    "spec that is no object": _Mistake(_CREATE, 2, ("is not a JSON object, such as",), ["x"]),
    "spec file that is not there": _Mistake("pods create wrong --spec no-such.json", 2, ("no-such.json: ",)),
    "port that is none": _Mistake(
        "pods create wrong --image pinacle-busybox --port http", 2, ("allowed: CONTAINER[:HOST][/udp]",)
    ),
    "port the wrong way round": _Mistake(
        "pods create wrong --image pinacle-busybox --port 8080:80",
        1,
        ("CONTAINER:HOST", "spec.ports[0].host: 80 is not allowed", "1024 to 65535"),
    ),
    "delete without a terminal": _Mistake("pods delete there", 2, ("add --yes",)),
    "stop of an unknown pod": _Mistake("pods stop nobody", 1, ("pod 'nobody' does not exist", "pods list")),
    "command that does not exist": _Mistake("pods remove there", 2, ("--help",)),
    "update of nothing": _Mistake("pods update there", 2, ("say what to change: --image",)),
}
# Others are asserted where there is what they need:
# - port taken by a program: test_ports; by a pod: test_bad_input
# - DOCKER_HOST of another form, setting misspelt: test_bad_surroundings
# - password with `/`: tests/unit/config/test_redis_address.py
# - Ctrl-C, delete on a terminal and of an unknown pod, no worker: test_cli
# - program that is not there, a crash at once: test_exits
# - volume removed by hand: test_storage; host renamed: test_renamed_host
# - `make up` twice: tests/acceptance/test_make_up.py; a queue that nobody reads: test_cli (doctor)


@pytest.fixture(scope="module")
def pinacle(client: Client, settings: dict[str, str]) -> Pinacle:
    """The command on the module's worker, where there is a pod already."""
    client.call("create", "there", _GOOD)
    return Pinacle(settings)


@pytest.mark.parametrize("name", _MISTAKES)
def test_a_mistake_is_one_line_that_helps(pinacle: Pinacle, client: Client, name: str) -> None:
    """And nothing was made."""
    mistake = _MISTAKES[name]
    given = mistake.stdin
    stdin = given if given is None or isinstance(given, str) else json.dumps(given)
    line = pinacle(*mistake.words.split(), stdin=stdin, code=mistake.code).error()
    for part in mistake.told:
        assert part in line
    assert [pod["pod_id"] for pod in client.call("list")["pods"] if pod["phase"] != "deleted"] == ["there"]
