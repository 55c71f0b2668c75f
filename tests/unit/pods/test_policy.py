"""What the operator lets a spec ask for, and that pods which exist are never refused for it."""

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import OWN, pod
from worker.errors import InvalidInputError
from worker.pods.policy import Policy, check_registry
from worker.pods.spec import PodSpec
from worker.preflight import Preflight

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
    """One on loopback as well, once it is named."""
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
    """As an Engine sees it, which takes an upper-case first part for a host, and one of loopback in clear."""
    with pytest.raises(InvalidInputError, match=r"one of 127\.0\.0\.1:5000, docker\.io.*PINACLE_REGISTRIES"):
        check_registry(MINE, reference)


async def test_it_is_not_asked_for_an_image_either_way_once_the_pod_is_accepted() -> None:
    """A pod whose pull is still to come keeps what was accepted; another image is judged."""
    engine = FakeEngine()
    preflight = Preflight(
        host="here",
        engine=engine,
        store=FakeStore(),
        installation=OWN,
        clock=lambda: 1.0,
        free_ports=range(1, 9),
        min_free_mb=0,
    )
    waiting = pod(intent={"image": None}, image=None, spec={"image": "localhost/x"})
    with pytest.raises(InvalidInputError):
        await preflight.pinned(None, PodSpec(image="localhost/x"))
    with pytest.raises(InvalidInputError):
        await preflight.pinned(waiting, PodSpec(image="localhost/y"))
    assert engine.calls["distribution_inspect"] == 0
    await preflight.pinned(waiting, PodSpec(image="localhost/x"))
