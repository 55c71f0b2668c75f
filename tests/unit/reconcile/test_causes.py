"""A reconcile runs in the context of its caller: its log lines and its trace name the caller."""

import asyncio
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final, cast

import pytest
import structlog

from tests.support.fake_store import FakeStore
from worker.errors import PodError, PodNotFoundError, StoreUnavailableError
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.pulling import Pulls

_WHO: Final = ContextVar("who", default="nobody")


class Noting:
    """Stands in for a reconciler: notes its caller, and goes on when a test lets it."""

    def __init__(self, error: PodError) -> None:
        self.error = error
        self.draining = False
        self.pulls = Pulls(store=FakeStore())
        self.callers: list[str] = []
        self.called = asyncio.Event()
        self.go_on = asyncio.Event()

    async def reconcile(self, _pod_id: str, _seen: object) -> Any:
        self.callers.append(_WHO.get())
        self.called.set()
        await self.go_on.wait()
        raise self.error


async def test_each_reconcile_has_the_context_of_its_last_caller() -> None:
    """A pass that looks at the pod in the meantime does not take it from a caller that waits."""
    noting = Noting(PodNotFoundError("there is none"))
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


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """Everything that is logged, with its context."""
    found: list[dict[str, Any]] = []

    def keep(_logger: object, _method: str, event: Any) -> Any:
        found.append(dict(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    yield found
    structlog.configure(**before)


async def test_a_failure_is_logged_with_the_last_caller(lines: list[dict[str, Any]]) -> None:
    """And not with the caller that made the keeper, perhaps long ago."""
    noting = Noting(StoreUnavailableError("Redis is away"))
    dispatcher = Dispatcher(
        reconciler=cast("Any", noting), store=cast("Any", FakeStore()), clock=lambda: 0.0, repairs_at_once=1
    )
    noting.go_on.set()
    for who in ("first", "second"):
        with structlog.contextvars.bound_contextvars(task_id=who):
            noting.called.clear()
            dispatcher.poke("a")
            await noting.called.wait()
            await dispatcher.until_resting("a")
    await dispatcher.drain(1)
    told = [line["task_id"] for line in lines if line["event"] == "pod_not_reconciled"]
    assert told == ["first", "second"]
