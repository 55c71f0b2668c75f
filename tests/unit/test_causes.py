"""A reconcile runs in the context of who asked for it: its log lines and its trace tell by whom."""

import asyncio
from contextvars import ContextVar
from typing import Any, Final, cast

from tests.support.fake_store import FakeStore
from worker.dispatcher import Dispatcher
from worker.errors import PodNotFoundError

_WHO: Final = ContextVar("who", default="nobody")


class Noting:
    """Stands for a reconciler: notes by whom it was called, and goes on when it is let."""

    def __init__(self) -> None:
        self.draining = False
        self.callers: list[str] = []
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()

    async def reconcile(self, _pod_id: str, _seen: object) -> Any:
        self.callers.append(_WHO.get())
        self.called.set()
        await self.go_on.wait()
        raise PodNotFoundError("there is none")


async def test_each_reconcile_has_the_context_of_who_asked_for_it_last() -> None:
    """A pass that looks at the pod in the meantime does not take it from who waits."""
    noting = Noting()
    dispatcher = Dispatcher(
        reconciler=cast("Any", noting), store=cast("Any", FakeStore()), clock=lambda: 0.0, repairs_at_once=1
    )
    _WHO.set("first")
    dispatcher.poke("a")
    await noting.called.wait()
    _WHO.set("second")
    dispatcher.poke("a")
    _WHO.set("pass")
    dispatcher.poke("a", urgent=False)
    _WHO.set("other")
    resting = asyncio.create_task(dispatcher.until_resting("a"))
    noting.called.clear()
    noting.go_on.set()
    await noting.called.wait()
    await resting
    await dispatcher.drain(1)
    assert noting.callers == ["first", "second"]
