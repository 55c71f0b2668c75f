"""Whoever changes a pod that is there does not wait for creations, however many are being examined."""

import asyncio
from contextlib import nullcontext

import pytest

from tests.support.situations import pod
from tests.unit.service.test_placement import _service
from worker.pods.requests import Create, Delete, Request, Restart, Start, Stop
from worker.pods.spec import PodSpec
from worker.service.intents import Intents


@pytest.mark.parametrize("request_", [Stop(), Start(), Restart(force=True), Delete()])
async def test_a_change_is_accepted_while_all_creations_hang(request_: Request) -> None:
    service, store, _engine = _service(pod(host="here"), "here")
    examine, never = service._examination.examine, asyncio.Event()

    async def hang_with_creations(pod_id: str, asked: Request) -> object:
        if isinstance(asked, Create):
            await never.wait()
        return await examine(pod_id, asked)

    service._examination.examine = hang_with_creations  # type: ignore[assignment, method-assign]
    creations = [
        asyncio.create_task(_accept(service, f"new-{n}", Create(spec=PodSpec(image="image"))))
        for n in range(50)
    ]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await _accept(service, "a", request_)
    assert store.records["a"].intent.generation == 2
    for each in creations:
        each.cancel()
    await asyncio.gather(*creations, return_exceptions=True)


async def _accept(service: Intents, pod_id: str, request: Request) -> object:
    return await service._accept_in_turn(pod_id, request, f"{pod_id} {type(request).__name__}")


async def test_creations_are_examined_once_others_are_changed() -> None:
    """Each looks at the Engine, and a caller may send a hundred of them at a time."""
    service, store, _engine = _service(pod(host="here"), "here")
    changed = asyncio.Event()

    class Busy:
        let_changes_pass = staticmethod(changed.wait)
        changing = staticmethod(nullcontext)

    service._dispatcher = Busy()  # type: ignore[assignment]
    creation = asyncio.create_task(_accept(service, "new", Create(spec=PodSpec(image="image"))))
    await _accept(service, "a", Stop())
    for _ in range(50):
        await asyncio.sleep(0)
    assert "new" not in store.records
    changed.set()
    await creation
    assert "new" in store.records
