"""An observer hears how each reconcile ended, inside the context that it gave for that reconcile."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import pod
from worker.errors import PodNotFoundError, StorageMissingError
from worker.interfaces import Reconciled, Unobserved
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.pulling import Pulls
from worker.reconcile.reconciler import Outcome

ERROR = StorageMissingError("a disk is away")
GONE = PodNotFoundError("there is none")


class Ending:
    """Stands in for a reconciler whose reconciles all end in the same way."""

    def __init__(self, end: Outcome | Exception) -> None:
        self.end = end
        self.draining = False
        self.pulls = Pulls(store=FakeStore())

    async def reconcile(self, _pod_id: str, _seen: object) -> Outcome:
        await asyncio.sleep(0)
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


class Notes(Unobserved):
    """Notes what it hears, and when its reconcile begins and ends."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    @contextmanager
    def reconciling(self, pod_id: str) -> Iterator[None]:
        self.told.append(f"{pod_id} begins")
        try:
            yield
        except Exception as error:
            self.told.append(error)
            raise
        self.told.append(f"{pod_id} ends")

    def reconciled(self, news: Reconciled) -> None:
        self.told.append(news)


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (Outcome(record=pod(), before=pod().state, steps=("start_container",)), "a ends"),
        (Outcome(record=pod(), before=pod().state, error=ERROR), "a ends"),
        (GONE, GONE),
    ],
    ids=["well", "with an error in the record", "broken off"],
)
async def test_it_hears_of_it_once_and_inside_its_context(end: Outcome | Exception, last: object) -> None:
    notes = Notes()
    dispatcher = Dispatcher(
        reconciler=cast("Any", Ending(end)),
        store=cast("Any", FakeStore()),
        clock=lambda: 0.0,
        repairs_at_once=1,
        observer=notes,
    )
    dispatcher.poke("a")
    await dispatcher.until_resting("a")
    await dispatcher.drain(1)
    begins, news, ends = notes.told[:3]
    assert (begins, ends) == ("a begins", last)
    if isinstance(end, Exception):
        assert (news.record, news.before, news.steps, news.error) == (None, None, (), end)
    else:
        assert (news.record, news.before, news.steps, news.error) == (
            end.record,
            end.before,
            end.steps,
            end.error,
        )
    assert 0 <= news.seconds <= news.since_found_s
