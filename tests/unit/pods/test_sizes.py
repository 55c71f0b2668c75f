"""How large a spec may be is judged when a request comes in, and only for what is new."""

from typing import Any

import pytest

from worker.errors import InvalidInputError
from worker.pods.model import Intent, IntentKind, Record
from worker.pods.parsing import parse_spec
from worker.pods.requests import Create, Update, check
from worker.pods.sizes import LARGEST_BYTES, MOST_PORTS
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
