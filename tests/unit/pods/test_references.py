"""Docker's grammar of image references: we accept what it accepts, and refuse at once what it refuses."""

from typing import Final

import pytest

from worker.docker.images.credentials import registry_of
from worker.docker.parse import inspected_image
from worker.errors import InvalidInputError
from worker.pods.model import INTENT, Intent, IntentKind
from worker.pods.parsing import parse_spec
from worker.pods.references import (
    has_upper_case_host,
    names_of,
    names_one,
    registry_host,
    repository_of,
)
from worker.pods.spec import SPEC

HEX: Final = "0123456789abcdef" * 4
HUB: Final = "https://index.docker.io/v1/"
NAME_255: Final = "/".join(["a" * 63] * 4)

GOOD: Final = (
    "debian",
    "debian:12-slim",
    "docker.io/library/debian:12",
    "registry.example/a/b_c:v1.0_rc-2",
    "name:_first",
    "name:1.2.3-rc.1_build..x--y__z-",
    "name:UPPER_Case",
    f"name:{'t' * 128}",
    "a.b_c__d-e--f---g",
    "a__b",
    "a---b",
    "0/1/2/3",
    "localhost/x",
    "localhost:5000/x",
    "localhost:5000",
    "127.0.0.1:9/nobody/nothing:1",
    "[::1]:5000/x:tag",
    "My-Registry.Example.COM:443/team/app",
    "REGISTRY/x",
    "xn--bcher-kva.example/x",
    f"name@sha256:{HEX}",
    f"localhost:5000/a/b:v1@sha256:{HEX}",
    f"name@sha384:{HEX}{HEX[:32]}",
    f"name@sha512:{HEX}{HEX}",
    f"sha256:{HEX}",
    HEX,
    NAME_255,
)
BAD: Final = (
    "",
    ":x",
    "@sha256:x",
    "/x",
    "x/",
    "a//b",
    "../../containers/json",
    "a___b",
    "a..b",
    "a.-b",
    "a-_b",
    "_a",
    "a_",
    "-a",
    "a-",
    ".a",
    "a.",
    "Debian",
    "team/App",
    "registry.io/Team/app",
    "a+b",
    "a b",
    " a",
    "a\n",
    "ä",
    "name:",
    "name:.x",
    "name:-x",
    "name:a+b",
    "name:a:b",
    "name:a/b",
    f"name:{'t' * 129}",
    "name@",
    "name@sha256:abc",
    f"name@sha256:{HEX.upper()}",
    f"name@sha256:{HEX}0",
    f"name@md5:{HEX}",
    f"name@sha256:{HEX}:tag",
    "registry:port/x",
    "-registry.io/x",
    "Under_Score.io/x",
    "[::1/x",
    f"b{NAME_255}",
    "https://registry.io/x",
)


@pytest.mark.parametrize("reference", GOOD)
def test_what_docker_takes_is_taken(reference: str) -> None:
    assert parse_spec({"image": reference}).image == reference


@pytest.mark.parametrize("reference", BAD)
def test_what_docker_refuses_is_refused_and_what_would_be_right_is_said(reference: str) -> None:
    with pytest.raises(InvalidInputError, match=r"spec\.image: .*allowed: ") as refused:
        parse_spec({"image": reference})
    assert "reference" in str(refused.value)


@pytest.mark.parametrize("reference", ["A/b+c", "Debian", "a+b:x"])
def test_what_is_recorded_reads_whatever_its_image(reference: str) -> None:
    """Records are not judged by what a request may contain today."""
    spec = SPEC.validate_python({"image": reference})
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=spec)
    assert INTENT.validate_json(INTENT.dump_json(intent)).spec == spec


@pytest.mark.parametrize(
    ("reference", "repository", "registry", "named"),
    [
        ("debian", "debian", HUB, False),
        ("debian:12_x", "debian", HUB, True),
        ("docker.io/library/debian:12", "debian", HUB, True),
        ("docker.io/team/app", "team/app", HUB, False),
        ("team/app", "team/app", HUB, False),
        ("localhost/x", "localhost/x", "localhost", False),
        ("localhost:5000/x", "localhost:5000/x", "localhost:5000", False),
        ("localhost:5000/x:_1", "localhost:5000/x", "localhost:5000", True),
        (f"registry.example/a/b_c:v1@sha256:{HEX}", "registry.example/a/b_c", "registry.example", True),
        (f"registry.example/a/b@sha256:{HEX}", "registry.example/a/b", "registry.example", True),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000", False),
        ("REGISTRY/x", "REGISTRY/x", "REGISTRY", False),
        ("LOCALHOST/x:1", "LOCALHOST/x", "LOCALHOST", True),
        ("index.docker.io/library/debian", "debian", HUB, False),
    ],
)
def test_the_parts_of_a_reference(reference: str, repository: str, registry: str, named: bool) -> None:
    """Which digest is the image's, whose credentials it is pulled with, and whether it has a tag."""
    assert (repository_of(reference), registry_of(reference), names_one(reference)) == (
        repository,
        registry,
        named,
    )
    digests = [f"other@sha256:{HEX}", f"{repository}@sha256:{HEX[::-1]}"]
    pinned = inspected_image(reference, {"Id": "sha256:1", "RepoDigests": digests})
    assert pinned.repo_digest == digests[1]


@pytest.mark.parametrize(
    ("reference", "names"),
    [
        ("debian", ("debian", "debian:latest")),
        ("docker.io/library/debian:12", ("debian", "debian:12")),
        ("debian:12", ("debian", "debian:12")),
        ("team/app:1.2", ("team/app", "team/app:1.2")),
        ("registry.example:5000/a/b", ("registry.example:5000/a/b", "registry.example:5000/a/b:latest")),
        ("registry.example:5000/a/b:1", ("registry.example:5000/a/b", "registry.example:5000/a/b:1")),
        (f"app:1@sha256:{'0' * 64}", ("app", f"app@sha256:{'0' * 64}")),
        (f"sha256:{'0' * 64}", (f"sha256:{'0' * 64}",)),
    ],
)
def test_what_a_pattern_may_name_an_image_by(reference: str, names: tuple[str, ...]) -> None:
    assert names_of(reference) == names


@pytest.mark.parametrize(
    ("reference", "is_upper"),
    [("LOCALHOST/x", True), ("Registry.example/x", True), ("registry.example/x", False), ("debian", False)],
)
def test_a_host_in_upper_case_is_recognised(reference: str, is_upper: bool) -> None:
    assert has_upper_case_host(reference) is is_upper


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("localhost/x", "localhost"),
        ("a.b/x", "a.b"),
        ("a:5000/x", "a:5000"),
        ("[::1]/x", "[::1]"),
        ("A/x", "A"),
        ("a/x", None),
        ("a.b", None),
    ],
)
def test_a_first_part_is_a_host_by_the_engine_s_rule(reference: str, host: str | None) -> None:
    assert registry_host(reference) == host


@pytest.mark.parametrize(
    ("reference", "is_one"),
    [("a", False), ("a:1", True), ("a@sha256:0", True), ("r:5000/a", False), ("r:5000/a:1", True)],
)
def test_a_reference_with_tag_or_digest_means_one_image(reference: str, is_one: bool) -> None:
    assert names_one(reference) is is_one
