"""Each wrong spec is refused with a text that names the key, what was wrong, and what would be right."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from tests.support.situations import pod
from worker.errors import InvalidInputError
from worker.pods.naming import parse_pod_id
from worker.pods.own_root import Measured
from worker.pods.parsing import parse_discard, parse_flag, parse_generation, parse_spec, read_spec
from worker.pods.requests import Create, Update, check
from worker.pods.spec import PodSpec, PortSpec, Restart, public_spec
from worker.quoting import shown

GOOD: Final = {"image": "image"}
CANARY: Final = "canary-5c1e"
ON: Final = "127.0.0.1"


def test_a_whole_spec() -> None:
    given: dict[str, Any] = {
        "image": "image:1",
        "command": ["sh", "-c", "true"],
        "env": {"A": "b"},
        "working_dir": "/srv",
        "user": "1000:1000",
        "hostname": "h-1.example",
        "ports": [{"container": 80}, {"container": 53, "host": 5353, "protocol": "udp", "address": "::"}],
        "tier": "dev.large",
        "runtime": "runsc",
        "restart": "on-failure",
        "init": False,
        "stop_timeout_s": 0,
    }
    spec = parse_spec(given)
    assert spec == PodSpec(
        image="image:1",
        command=("sh", "-c", "true"),
        env={"A": "b"},
        working_dir="/srv",
        user="1000:1000",
        hostname="h-1.example",
        ports=(PortSpec(container=80), PortSpec(container=53, host=5353, protocol="udp", address="::")),
        tier="dev.large",
        runtime="runsc",
        restart=Restart.ON_FAILURE,
        init=False,
        stop_timeout_s=0,
    )
    plain = public_spec(spec)
    assert "env" not in plain
    assert parse_spec({**plain, "env": {"A": "b"}}) == spec
    assert (plain["restart"], plain["command"]) == ("on-failure", ["sh", "-c", "true"])


BAD: Final[dict[str, tuple[Any, str, str]]] = {
    "missing": (None, "spec: is missing; allowed: an object", "'image'"),
    "a string": ("image", "spec: is a string; allowed: an object", '{"image": "debian:12-slim"}'),
    "a list": ([GOOD], "spec: is a list; allowed: an object", ""),
    "a number": (5, "spec: is a number; allowed: an object", ""),
    "a boolean": (True, "spec: is a boolean; allowed: an object", ""),
    "no image": ({}, "spec.image: is missing; allowed: an image reference", ""),
    "a typing error": (
        {**GOOD, "comand": []},
        "spec.comand: is not a key of the spec; did you mean",
        "'command'",
    ),
    "a key that is half right": (
        {**GOOD, "cmds": []},
        "spec.cmds: is not a key of the spec; did you mean 'command'?",
        "allowed: image, command, ",
    ),
    "an unknown key": ({**GOOD, "zzz": 1}, "spec.zzz: is not a key of the spec; allowed: ", "stop_timeout_s"),
    "a typing error in a port": (
        {**GOOD, "ports": [{"contaner": 1, "container": 1}]},
        "spec.ports[0].contaner: is not a key of the port; did you mean 'container'?",
        "allowed: container, host, protocol, address",
    ),
    "a port without its number": (
        {**GOOD, "ports": [{}]},
        "spec.ports[0].container: is missing",
        "1 to 65535",
    ),
    "a tier": (
        {**GOOD, "init": 1, "tier": "dev.huge"},
        "; spec.tier: 'dev.huge' is not a tier; allowed: dev.small, ",
        "",
    ),
    "a port too high": (
        {**GOOD, "ports": [{"container": 65536}]},
        "spec.ports[0].container: 65536 ",
        "65535",
    ),
    "a port as text": ({**GOOD, "ports": [{"container": "80"}]}, "spec.ports[0].container: '80' ", "65535"),
    "a relative folder": ({**GOOD, "working_dir": "srv"}, "spec.working_dir: 'srv' is not an absolute", "/"),
    "a NUL": (
        {**GOOD, "command": ["a\0"]},
        "spec.command[0]: ",
        "holds a NUL character; allowed: text without",
    ),
    "no user": ({**GOOD, "user": ""}, "spec.user: '' is not allowed; allowed: a user name or id", ""),
    "no runtime": ({**GOOD, "runtime": ""}, "spec.runtime: '' is not allowed; allowed: the name of a", ""),
    "no address": (
        {**GOOD, "ports": [{"container": 1, "address": "x"}]},
        "address: 'x' is not an IP",
        "of the host",
    ),
    "a host name": ({**GOOD, "hostname": "-a"}, "spec.hostname: '-a' is not allowed; allowed: 1 to 63", ""),
    "an endless stop": ({**GOOD, "stop_timeout_s": 601}, "spec.stop_timeout_s: 601 ", "from 0 to 600"),
    "a restart": ({**GOOD, "restart": "maybe"}, "spec.restart: 'maybe' ", "always, on-failure, never"),
    "a text for a boolean": ({**GOOD, "init": "yes"}, "spec.init: 'yes' ", "true or false"),
    "an image that is a path": ({"image": "../../x"}, "spec.image: '../../x' is not an image reference", ""),
    "an image of another type": ({"image": 5}, "spec.image: 5 is not allowed", ""),
    "a container port twice": (
        {**GOOD, "ports": [{"container": 80}, {"container": 80, "host": 1}]},
        f"container port 80/tcp on {ON} twice",
        "each port once",
    ),
    "a host port twice": (
        {**GOOD, "ports": [{"container": 80, "host": 8080}, {"container": 81, "host": 8080}]},
        f"host port 8080/tcp on {ON} twice",
        "each port once",
    ),
}


@pytest.mark.parametrize(("spec", "begins", "allowed"), BAD.values(), ids=BAD)
def test_a_wrong_spec(spec: Any, begins: str, allowed: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_spec(spec)
    text = str(caught.value)
    assert begins in text
    assert allowed in text


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"A": 5, "B": CANARY}, "spec.env.A: is not allowed; allowed: an object whose values are strings"),
        ({"A": {"x": CANARY}}, "spec.env.A: is not allowed"),
        ([f"A={CANARY}"], "spec.env: is not allowed; allowed: an object whose values are strings"),
        (CANARY, "spec.env: is not allowed"),
        ({f"A={CANARY}": "x"}, "spec.env: has a name that is empty or holds '='; allowed: names without '='"),
        ({"": CANARY}, "spec.env: has a name that is empty or holds '='"),
        ({"A": f"{CANARY}\0"}, "spec.env.A: holds a NUL character"),
    ],
)
def test_a_value_of_env_is_never_quoted(env: Any, says: str) -> None:
    """And neither is anything that may contain one: it would be in logs, results and the broker."""
    with pytest.raises(InvalidInputError) as caught:
        parse_spec({**GOOD, "env": env})
    assert says in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_everything_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_spec({"image": "../x", "tier": "dev.huge", "init": "yes", "zzz": 1})
    for part in ("spec.image", "spec.tier", "spec.init", "spec.zzz"):
        assert part in str(caught.value)


def test_the_same_port_in_both_protocols_or_on_two_addresses() -> None:
    ports = [{"container": 53}, {"container": 53, "protocol": "udp"}, {"container": 53, "address": "::1"}]
    assert len(parse_spec({**GOOD, "ports": ports}).ports) == 3


@pytest.mark.parametrize("value", ["true", 1, None])
def test_a_flag_is_a_boolean(value: object) -> None:
    assert parse_flag("force", True) is True  # noqa: FBT003 - the value is what is tested
    with pytest.raises(InvalidInputError, match=r"force: .* is not allowed; allowed: true or false"):
        parse_flag("force", value)


def test_a_tier_that_is_not_in_the_table_is_refused_unless_the_pod_has_it() -> None:
    """Tables change, and pods stay: what was accepted once may be sent again."""
    gone, small = PodSpec(image="i", tier="dev.gone"), PodSpec(image="i")
    for before in (None, small):
        with pytest.raises(
            InvalidInputError, match=r"spec.tier: 'dev.gone' is not a tier; allowed: dev.small"
        ):
            check("a", None if before is None else pod(spec={"tier": before.tier}), Update(spec=gone))
    check("a", pod(spec={"image": "i", "tier": "dev.gone"}), Update(spec=gone))
    check("a", pod(spec={"image": "i", "tier": "dev.gone"}), Create(spec=gone))
    check("a", pod(spec={"image": "i", "tier": "dev.gone"}), Update(spec=small))
    with pytest.raises(InvalidInputError, match=r"spec.tier"):
        check("new", None, Create(spec=gone))


@pytest.mark.parametrize(
    ("key", "near"), [("comand", "command"), ("port", "ports"), ("hostnam", "hostname"), ("zzzzzz", None)]
)
def test_for_a_misspelt_key_the_nearest_one_is_named(key: str, near: str | None) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_spec({"image": "a", key: "x"})
    hint = f"; did you mean '{near}'?; allowed: " if near else "is not a key of the spec; allowed: "
    assert hint in str(refused.value)
    assert "or" not in str(refused.value).partition("allowed")[0].split()


def test_a_label_that_holds_no_spec_says_what_is_wrong() -> None:
    with pytest.raises(InvalidInputError, match=r"^spec\.image: is missing; allowed: an image reference"):
        read_spec({})
    with pytest.raises(InvalidInputError, match="is not an absolute path"):
        read_spec({"image": "a", "working_dir": "x"})


def test_a_wrong_name_in_env_is_reported_without_its_place() -> None:
    with pytest.raises(InvalidInputError, match=r"^spec\.env\.a string of 2 characters: holds a NUL"):
        parse_spec({"image": "a", "env": {"A\0": "b"}})


def test_what_fits_exactly_fits() -> None:
    room = Measured(paths=("/a",), needed_bytes=10, free_bytes=15, most_bytes=10, where="/v")
    assert room.fits(5)
    assert not room.fits(6)
    assert not room.evolve(most_bytes=9).fits(0)


def test_paths_that_are_given_up_are_as_the_engine_writes_them() -> None:
    assert parse_discard(["/data/", "/a//b", "/X"]) == ("/X", "/a/b", "/data")
    assert len(parse_discard([f"/{number}" for number in range(100)])) == 100
    assert parse_discard(("/data", "/data")) == ("/data",)


@pytest.mark.parametrize("value", [None, "/data", {"/data": 1}, [f"/{number}" for number in range(101)]])
def test_what_is_no_list_of_paths_is_refused(value: object) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^discard: .* is not allowed; allowed: a list of at most 100"
    ):
        parse_discard(value)


@pytest.mark.parametrize("path", ["data", "", "/", "//", "/data/..", "/a\0", 5, None])
def test_what_is_no_path_of_what_could_be_given_up_is_refused(path: object) -> None:
    with pytest.raises(
        InvalidInputError, match=r"^discard: .* is no path of what could be given up; allowed"
    ):
        parse_discard(["/data", path])


@pytest.mark.parametrize(
    ("parse", "value", "wrong"),
    [
        (partial(parse_flag, "force"), 7, 7),
        (parse_discard, 7, 7),
        (parse_discard, ["/a", 7], 7),
        (parse_generation, "7", "7"),
        (parse_pod_id, 7, 7),
        (parse_pod_id, "a b", "a b"),
    ],
)
def test_a_refusal_says_what_was_given(parse: Callable[[Any], object], value: object, wrong: object) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse(value)
    assert f": {shown(wrong)} is n" in str(refused.value)
    assert shown(wrong) != shown(None)
