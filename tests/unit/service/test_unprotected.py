"""What `pods.get` says would be lost with a pod's container."""

import asyncio
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN, pod
from worker.planner.container import VolumeMount, container_request
from worker.planner.volumes.unprotected import ENGINES_OWN, Change, ChangeKind
from worker.pods.shape import ImageShape
from worker.service.patience import Patience
from worker.service.queries import Queries

NOBODY: Final[Any] = None


def asking(engine: FakeEngine, store: FakeStore) -> Queries:
    return Queries(
        host="here",
        engine=engine,
        store=store,
        installation=OWN,
        passes=NOBODY,
        inside=NOBODY,
        patience=Patience(dispatcher=NOBODY, task_wait_s=1.0),
    )


async def test_only_what_the_container_mounts_is_said_to_be_safe() -> None:
    """Not its whole layout: a volume may be made only with the next container, or mounted elsewhere."""
    record = pod()
    engine, store = FakeEngine(), FakeStore()
    engine.images["image"] = IMAGE
    queries = asking(engine, store)
    request = replace(container_request(record, OWN, ImageShape()), mounts=())
    home = VolumeMount(source="pinacle-vol-a-home", target="/real/home", no_copy=True)
    made = await engine.create_container(replace(request, mounts=(home,)))
    changes = [Change(path, ChangeKind.ADDED) for path in ("/real/home/file", "/home/file", "/srv/file")]
    engine.containers["pinacle-pod-a"].changes = changes
    known = record.evolve(state=record.state.evolve(container_id=made.id))
    store.records["a"] = known
    assert (await queries.get("a"))["unprotected_paths"] == [*ENGINES_OWN, "/home/file", "/srv/file"]


async def test_a_container_that_the_engine_is_starting_keeps_no_question_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until then the Engine says nothing of it; the rest of the answer is there."""
    monkeypatch.setattr("worker.service.queries.Queries._seen.__defaults__", (0.01,))
    engine, store = FakeEngine(), FakeStore()
    store.records["a"] = pod()

    async def hang(_container_id: str) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(engine, "inspect", hang)
    monkeypatch.setattr(engine, "changes", hang)
    queries = asking(engine, store)
    answer = await asyncio.wait_for(queries.get("a"), 5)
    assert (answer["phase"], answer["started_at"], answer["unprotected_paths"]) == ("running", None, None)
