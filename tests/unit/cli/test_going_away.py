"""What the command line says if Redis goes away while an answer is waited for."""

import pytest

from worker.cli.asking.calls import Call
from worker.cli.asking.sending import _went_away
from worker.errors import StoreUnavailableError

AWAY = StoreUnavailableError("wait: Redis cannot be reached")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Call(name="pods.stop", args=("a",), pod_id="a"), "--task-id 7, so that it is accepted once"),
        (Call(name="pods.exec", args=("a", ["ls"])), "--task-id 7, so that it is done once"),
        (Call(name="pods.reconcile"), "Is Redis running"),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
def test_what_can_be_sent_again_safely_is_told_with_its_id(wanted: Call, told: str) -> None:
    assert told in _went_away(wanted, "7", AWAY)
