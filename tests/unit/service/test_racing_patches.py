"""Patches that race and patches that come twice: none is lost, and none is done twice."""

from typing import Any

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import pod
from tests.unit.service.test_placement import _service
from worker.errors import LostUpdateError
from worker.pods.parsing import parse_patch
from worker.pods.requests import Change
from worker.service.intents import Intents


def patch(expected: int | None = None, **keys: Any) -> Change:
    return Change(to=parse_patch(keys), expected_generation=expected)


async def accepted(service: Intents, asked: Change, task_id: str) -> Any:
    return await service._patience.until_answered(lambda: service._accept_in_turn("a", asked, task_id))


def racing(store: FakeStore, **keys: Any) -> None:
    """Let another caller change the spec between the reading of the record and the writing of an intent."""

    def once(operation: str) -> None:
        if operation == "accept":
            store.before = lambda _operation: None
            record = store.records["a"]
            spec = record.intent.spec
            assert spec is not None
            other = record.intent.evolve(
                generation=record.intent.generation + 1, spec=type(spec)(**{**vars(spec), **keys})
            )
            store.records["a"] = record.evolve(intent=other)

    store.before = once


@pytest.fixture
def here() -> tuple[Intents, FakeStore]:
    service, store, _engine = _service(pod(host="here"), "here")
    # Another try after a conflict asks whether the process is about to end.
    service._patience._dispatcher = type("Going", (), {"draining": False})()
    return service, store


async def test_a_patch_that_races_another_change_keeps_it(here: tuple[Intents, FakeStore]) -> None:
    service, store = here
    racing(store, hostname="other", env={"A": "theirs"})
    generation, _seen = await accepted(service, patch(tier="dev.large", env={"B": "mine"}), "task")
    intent = store.records["a"].intent
    assert intent.spec is not None
    assert (intent.spec.hostname, intent.spec.tier) == ("other", "dev.large")
    assert intent.spec.env == {"A": "theirs", "B": "mine"}
    assert (generation, intent.generation, intent.changed) == (3, 3, ("env", "tier"))


async def test_a_patch_with_a_generation_that_loses_the_race_is_refused(
    here: tuple[Intents, FakeStore],
) -> None:
    service, store = here
    racing(store, hostname="other")
    with pytest.raises(LostUpdateError, match="is at 2, not at 1"):
        await accepted(service, patch(expected=1, tier="dev.large"), "task")
    spec = store.records["a"].intent.spec
    assert spec is not None
    assert (spec.hostname, spec.tier) == ("other", "dev.small")


async def test_a_patch_that_comes_again_is_the_same_change(here: tuple[Intents, FakeStore]) -> None:
    """Also after another change of the same keys, and although its generation has passed."""
    service, store = here
    first, _ = await accepted(service, patch(expected=1, env={"A": "1"}), "task")
    await accepted(service, patch(env={"A": "2"}), "another")
    before = store.records["a"]
    again, _ = await accepted(service, patch(expected=1, env={"A": "1"}), "task")
    assert again == first
    assert store.records["a"] == before
