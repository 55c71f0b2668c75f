"""A message that kills its worker each time is given up; one that was accepted is answered."""

from inspect import signature
from typing import Any, cast

import pytest

from tests.support.fake_store import FakeStore
from worker.errors import PoisonedTaskError
from worker.interfaces import Proposal
from worker.pods.model import Intent, IntentKind, Phase, PodState
from worker.pods.requests import Start
from worker.pods.spec import PodSpec
from worker.service.intents import Intents
from worker.service.patience import Patience

ATTEMPTS = 5


class WorkerKilledError(Exception):
    """Stands in for the end of the process."""


class Deadly:
    """Kills the worker whenever it is asked to do anything for a pod."""

    def __getattr__(self, _name: str) -> Any:
        raise WorkerKilledError


def service(store: FakeStore) -> Intents:
    deadly = cast("Any", Deadly())
    parts: dict[str, Any] = dict.fromkeys(signature(Intents).parameters, deadly)
    known = {
        "host": "here",
        "store": store,
        "patience": Patience(dispatcher=deadly, task_wait_s=1.0),
        "task_attempts": ATTEMPTS,
        "task_wait_s": 1,
    }
    return Intents(**parts | known)


async def accept(store: FakeStore) -> None:
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=PodSpec(image="image"))
    await store.accept(
        Proposal(pod_id="a", task_id="first", expected_generation=0, host="here", intent=intent)
    )


async def test_one_that_is_never_accepted_is_given_up() -> None:
    """After the allowed number of tries, however they ended."""
    store = FakeStore()
    deadly = service(store)
    store.before = _dies_at("accepted_generation")
    for _ in range(ATTEMPTS):
        with pytest.raises(WorkerKilledError):
            await deadly.submit("a", Start(), task_id="task")
    store.before = lambda _operation: None
    with pytest.raises(PoisonedTaskError, match="was taken 5 times and never accepted"):
        await deadly.submit("a", Start(), task_id="task")


async def test_one_that_was_accepted_is_answered_from_the_record_in_the_end() -> None:
    """Its work kills the worker each time: it is left to passes, and the caller gets an answer."""
    store = FakeStore()
    await accept(store)
    store.records["a"] = store.records["a"].evolve(state=PodState(phase=Phase.RUNNING))
    deadly = service(store)
    for _ in range(ATTEMPTS):
        with pytest.raises(WorkerKilledError):
            await deadly.submit("a", Start(), task_id="first")
    for _ in range(3):
        answer = await deadly.submit("a", Start(), task_id="first")
        assert isinstance(answer, dict)
        assert answer["pod_id"] == "a"


def _dies_at(operation: str) -> Any:
    def die(name: str) -> None:
        if name == operation:
            raise WorkerKilledError

    return die
