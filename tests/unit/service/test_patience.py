"""What a caller waits through, and what is told at once."""

from typing import Any

import pytest

from worker.errors import EngineUnavailableError, ObjectMissingError, PodError, UpdateRefusedError
from worker.service.patience import Patience


class Running:
    """A dispatcher of a process that goes on."""

    draining = False


def patience() -> Patience:
    dispatcher: Any = Running()
    return Patience(dispatcher=dispatcher, task_wait_s=5.0)


class Failing:
    """Fails so many times, then answers."""

    def __init__(self, error: PodError, times: int) -> None:
        self.error, self.left = error, times

    async def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "answer"


@pytest.mark.parametrize("looks", [False, True])
async def test_an_engine_that_does_not_answer_is_asked_again(looks: bool) -> None:
    asked = Failing(EngineUnavailableError("away"), 2)
    assert await patience().until_answered(asked, looks=looks) == "answer"


async def test_whoever_looks_looks_again_when_what_it_saw_is_gone() -> None:
    """Another caller has changed the pod meanwhile. A question about what is gone fails at once."""
    gone = ObjectMissingError("No such container")
    assert await patience().until_answered(Failing(gone, 2), looks=True) == "answer"
    with pytest.raises(ObjectMissingError):
        await patience().until_answered(Failing(gone, 1))


async def test_a_refusal_is_told_at_once() -> None:
    with pytest.raises(UpdateRefusedError):
        await patience().until_answered(Failing(UpdateRefusedError("no"), 1), looks=True)
