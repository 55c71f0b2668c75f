"""How large a spec may be is judged when a request comes in, and only for what is new."""

from typing import Any

import pytest

from worker.errors import InvalidInputError
from worker.pods.model import Intent, IntentKind, Record
from worker.pods.parsing import parse_spec
from worker.pods.requests import Create, Update, check
from worker.pods.sizes import LARGEST_BYTES, LONGEST_DESCRIPTION, LONGEST_LABEL, MOST_LABELS, MOST_PORTS
from worker.pods.spec import PodSpec


def spec(**more: Any) -> PodSpec:
    return parse_spec({"image": "image", **more})


def recorded(value: PodSpec) -> Record:
    return Record(pod_id="a", host="here", intent=Intent(kind=IntentKind.RUNNING, generation=1, spec=value))


def ports(count: int) -> Any:
    return {"ports": [{"container": 1000 + number} for number in range(count)]}


LARGE: Any = {"command": ["echo", "ж" * 45_000, "ж" * 45_000]}


def test_as_much_as_is_allowed_is_taken() -> None:
    check("a", None, Create(spec=spec(command=["x" * (LARGEST_BYTES - 4)], env={"A": "abc"})))
    check("a", None, Create(spec=spec(**ports(MOST_PORTS))))


@pytest.mark.parametrize(
    "more",
    [LARGE, {"env": {"A": "x" * LARGEST_BYTES}}, {"command": ["x" * 100_000], "env": {"A": "ж" * 20_000}}],
)
def test_more_is_refused_with_what_would_be_right(more: Any) -> None:
    for record, request in (
        (None, Create(spec=spec(**more))),
        (recorded(spec()), Update(spec=spec(**more))),
    ):
        with pytest.raises(InvalidInputError, match="allowed: 128000 together"):
            check("a", record, request)


def test_more_ports_are_refused_with_the_number_that_would_be_right() -> None:
    for record, request in (
        (None, Create(spec=spec(**ports(MOST_PORTS + 1)))),
        (recorded(spec()), Update(spec=spec(**ports(9_600)))),
    ):
        with pytest.raises(InvalidInputError, match=r"spec\.ports: \d+ ports; allowed: 64 a pod"):
            check("a", record, request)


def test_a_pod_that_has_more_keeps_it() -> None:
    """It was made before there was a limit: sent again, or with another change, it is accepted."""
    large = recorded(spec(**LARGE))
    check("a", large, Create(spec=spec(**LARGE)))
    check("a", large, Update(spec=spec(**LARGE, hostname="other")))
    with pytest.raises(InvalidInputError):
        check("a", large, Update(spec=spec(**LARGE, env={"A": "b"})))
    many = recorded(spec(**ports(300)))
    check("a", many, Create(spec=spec(**ports(300))))
    check("a", many, Update(spec=spec(**ports(300), hostname="other")))
    with pytest.raises(InvalidInputError):
        check("a", many, Update(spec=spec(**ports(299))))


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {f"{number}": "" for number in range(MOST_LABELS)}},
        {"labels": {"a" * 63: "ä" * LONGEST_LABEL, "example.org/team_a-b": "two words", "9": "="}},
        {"description": "ж" * LONGEST_DESCRIPTION},
    ],
)
def test_labels_and_descriptions_that_are_allowed(more: Any) -> None:
    check("a", None, Create(spec=spec(**more)))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"labels": {f"{number}": "" for number in range(33)}},
            r"spec\.labels: 33 labels; allowed: 32 a pod",
        ),
        *(
            ({"labels": {name: ""}}, r"spec\.labels: .* is not the name of a label; allowed: 1 to 63 letters")
            for name in ("", "a" * 64, "-a", "a.", "a b", "ä", "a\n", "/a")
        ),
        ({"labels": {"a": "x" * 201}}, r"spec\.labels\.a: a string of 201 characters is not allowed; .* 200"),
        ({"labels": {"a": "x\ny"}}, r"spec\.labels\.a: a string of 3 .* printable"),
        ({"description": "x" * 501}, r"spec\.description: a string of 501 .* one line of at most 500"),
        ({"description": "x\x1b[31m"}, r"spec\.description: .* printable"),
    ],
)
def test_other_labels_and_descriptions_are_refused_unless_a_pod_has_them(more: Any, words: str) -> None:
    for record, request in ((None, Create(spec=spec(**more))), (recorded(spec()), Update(spec=spec(**more)))):
        with pytest.raises(InvalidInputError, match=words):
            check("a", record, request)
    check("a", recorded(spec(**more)), Update(spec=spec(**more, hostname="other")))
