"""What the operator lets a spec ask for, and that existing pods are never refused because of it."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import OWN, pod
from worker.errors import InvalidInputError
from worker.pods.parsing import parse_spec
from worker.pods.policy import Policy, check_policy, check_registry, check_runtime
from worker.pods.spec import PodSpec
from worker.service.preflight import Preflight

DEFAULT = Policy()
MINE = Policy(registries=frozenset({"docker.io", "registry.example:5000", "127.0.0.1:5000"}))


@pytest.mark.parametrize(
    "reference",
    [
        "debian",
        "team/app:1",
        "docker.io/library/debian",
        "index.docker.io/library/debian",
        "registry.example:5000/a/b",
        "127.0.0.1:5000/x",
    ],
)
def test_a_registry_that_is_named_is_asked(reference: str) -> None:
    """Even one on loopback, once it is named."""
    check_registry(MINE, reference)


@pytest.mark.parametrize(
    "reference",
    [
        "LOCALHOST/x:1",
        "Docker.io/library/debian",
        "localhost/x",
        "localhost:5000/x",
        "127.0.0.1/x",
        "127.0.0.1:80/x",
        "[::1]:5000/x",
        "169.254.169.254/x",
        "registry.example/a/b",
        "REGISTRY.example:5000/a/b",
    ],
)
def test_no_other_registry_is_asked(reference: str) -> None:
    """As the Engine reads it: it takes an upper-case first part for a host, and loopback without TLS."""
    with pytest.raises(InvalidInputError, match=r"one of 127\.0\.0\.1:5000, docker\.io.*PINACLE_REGISTRIES"):
        check_registry(MINE, reference)


async def test_it_is_not_asked_for_an_image_either_way_once_the_pod_is_accepted() -> None:
    """A pod that still has to pull keeps what was accepted; another image is judged."""
    engine = FakeEngine()
    preflight = Preflight(
        host="here",
        engine=engine,
        store=FakeStore(),
        installation=OWN,
        clock=lambda: 1.0,
        free_ports=range(1, 9),
        min_free_mb=0,
        max_pods=9,
    )
    waiting = pod(intent={"image": None}, image=None, spec={"image": "localhost/x"})
    with pytest.raises(InvalidInputError):
        await preflight.pinned(None, PodSpec(image="localhost/x"))
    with pytest.raises(InvalidInputError):
        await preflight.pinned(waiting, PodSpec(image="localhost/y"))
    assert engine.calls["distribution_inspect"] == 0
    await preflight.pinned(waiting, PodSpec(image="localhost/x"))


def spec(**keys: Any) -> PodSpec:
    return parse_spec({"image": "debian:12", **keys})


def port(**keys: Any) -> dict[str, Any]:
    return {"ports": [{"container": 80, **keys}]}


WIDE = Policy(
    runtimes=frozenset({"runc", "runsc"}),
    addresses=("10.0.0.0/8", "0.0.0.0"),  # noqa: S104 - compared, not bound
    ports=range(80, 81),
    images=("debian:*", "registry.example/team/*"),
)
ALLOWED: Final[list[tuple[Policy, dict[str, Any]]]] = [
    (DEFAULT, {}),
    (DEFAULT, {"image": "sha256:" + "0" * 64}),
    (DEFAULT, port()),
    (DEFAULT, port(host=1024, address="::1")),
    (DEFAULT, port(host=65535)),
    (WIDE, port(host=80, address="10.1.2.3")),
    (WIDE, port(address="0.0.0.0")),  # noqa: S104 - compared, not bound
    (WIDE, {"image": "debian"}),
    (WIDE, {"image": "docker.io/library/debian:12"}),
    (WIDE, {"image": "registry.example/team/a/b@sha256:" + "0" * 64}),
]
REFUSED: Final[list[tuple[Policy, dict[str, Any], str]]] = [
    (DEFAULT, port(host=1023), r"spec\.ports\[0\]\.host: 1023 .*1024 to 65535 \(PINACLE_PUBLISH_PORTS\)"),
    (DEFAULT, port(address="0.0.0.0"), r"127\.0\.0\.1, ::1 \(PINACLE_PUBLISH_ADDRESSES\)"),  # noqa: S104 - compared
    (DEFAULT, port(address="::"), "PINACLE_PUBLISH_ADDRESSES"),
    (DEFAULT, port(address="::ffff:0.0.0.0"), "PINACLE_PUBLISH_ADDRESSES"),
    (DEFAULT, port(address="127.0.0.2"), "PINACLE_PUBLISH_ADDRESSES"),
    (WIDE, port(host=81, address="10.0.0.1"), "80 to 80"),
    (WIDE, {"image": "debian-evil:12"}, r"debian:\*, registry\.example/team/\* \(PINACLE_IMAGES\)"),
    (WIDE, {"image": "evil/debian:12"}, "PINACLE_IMAGES"),
    (WIDE, {"image": "registry.example/team"}, "PINACLE_IMAGES"),
    (WIDE, {"image": "0" * 64}, "PINACLE_IMAGES"),
]


@pytest.mark.parametrize(("policy", "keys"), ALLOWED)
def test_what_is_allowed(policy: Policy, keys: dict[str, Any]) -> None:
    check_policy(policy, spec(**keys), None)


@pytest.mark.parametrize(("policy", "keys", "words"), REFUSED)
def test_what_is_not_allowed_is_refused_unless_the_pod_has_it(
    policy: Policy, keys: dict[str, Any], words: str
) -> None:
    """Even together with another change; but for another pod it is new."""
    asked = spec(**keys)
    for before in (None, spec(image="debian:11")):
        with pytest.raises(InvalidInputError, match=words):
            check_policy(policy, asked, before)
    check_policy(policy, replace(asked, hostname="other"), asked)


@pytest.mark.parametrize(
    ("policy", "own", "asked", "allowed"),
    [
        (DEFAULT, "runsc", None, True),
        (DEFAULT, "runsc", "runsc", True),
        (DEFAULT, "runsc", "runc", False),
        (DEFAULT, None, "runc", False),
        (WIDE, "runsc", "runc", True),
        (WIDE, "kata", "kata", False),
    ],
)
def test_which_runtimes_may_be_named(
    policy: Policy, own: str | None, asked: str | None, allowed: bool
) -> None:
    """Only the installation's own, unless others are set; what a pod has stays."""
    wanted = PodSpec(image="i", runtime=asked)
    check_runtime(policy, wanted, wanted, own=own)
    if allowed:
        check_runtime(policy, wanted, None, own=own)
        return
    for before in (None, PodSpec(image="i")):
        words = rf"spec\.runtime: '{asked}' is not allowed; allowed: none.*PINACLE_RUNTIMES"
        with pytest.raises(InvalidInputError, match=words):
            check_runtime(policy, wanted, before, own=own)


@pytest.mark.parametrize(
    ("patterns", "reference", "lent"),
    [
        (("*",), "team/private", False),
        (("**",), "team/private", False),
        (("*/private",), "team/private", False),
        (("*", "team/*"), "team/private", True),
        (("*", "team/*"), "docker.io/team/private:1", True),
        (("*", "team/*"), "other/private", False),
        (("registry.example/*",), "registry.example/x:1", True),
        (("registry.example/*",), "registry.example:80/x:1", False),
    ],
)
def test_credentials_serve_what_a_narrow_pattern_names(
    patterns: tuple[str, ...], reference: str, lent: bool
) -> None:
    assert Policy(images=patterns).lends_credentials(reference) is lent


def test_a_host_in_upper_case_has_a_hint_of_its_own() -> None:
    with pytest.raises(InvalidInputError, match=r"\(PINACLE_REGISTRIES\); hosts are written in lower case$"):
        check_registry(DEFAULT, "Registry.example/x:1")
    with pytest.raises(InvalidInputError, match=r"\(PINACLE_REGISTRIES\)$"):
        check_registry(DEFAULT, "registry.example/x:1")
    with pytest.raises(InvalidInputError, match=r"or one of none \(PINACLE_REGISTRIES\)"):
        check_registry(Policy(registries=frozenset()), "x:1")
