"""Remote control walks through what other threads change."""

from weakref import WeakSet

import pytest
from celery.worker import state

from worker.intake.panel import SteadySet


class Request:
    """Something that a weak set can hold."""


def test_a_walk_survives_that_others_add() -> None:
    """Celery's own set does not: that is what made remote control fail under load."""
    kept = [Request() for _ in range(3)]
    assert _walk_and_add(SteadySet(kept), kept) == 3
    with pytest.raises(RuntimeError, match="changed size"):
        _walk_and_add(WeakSet(kept), kept)


def _walk_and_add(requests: "WeakSet[Request]", kept: list[Request]) -> int:
    """Return how many were walked through, while one more is added at each of them."""
    walked = 0
    for _ in requests:
        walked += 1
        kept.append(Request())
        requests.add(kept[-1])
    return walked


def test_what_is_gone_is_left_out() -> None:
    kept = Request()
    steady = SteadySet([kept, Request()])
    assert list(steady) == [kept]


@pytest.mark.parametrize("requests", [state.active_requests, state.reserved_requests])
def test_celerys_own_sets_are_steady(requests: object) -> None:
    assert isinstance(requests, SteadySet)
