"""News of a pull are told while it is under way, seldom, and never at the cost of the pull."""

import asyncio
from typing import Any

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import pod
from worker.errors import ImageNotFoundError, StoreUnavailableError
from worker.interfaces import Progress
from worker.pods.model import Record
from worker.reconcile.pulling import Pulls

EVERY_S = 0.05
POD = pod().pod_id


def far(done: int, layers: int = 2) -> Progress:
    return Progress(image="image", done_bytes=done, total_bytes=100, done_layers=0, total_layers=layers)


async def until(is_so: Any) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - what is waited for is in a dict
            await asyncio.sleep(EVERY_S / 10)


async def test_many_news_are_told_a_few_at_a_time() -> None:
    """The newest of them, at once and then at intervals, and the last one in any case."""
    store = FakeStore()
    pulls, began = Pulls(store=store, every_s=EVERY_S), asyncio.get_running_loop().time()
    with pulls.telling(pod()) as tell:
        for done in range(101):
            tell(far(done))
            await asyncio.sleep(0.002)
    took_s = asyncio.get_running_loop().time() - began
    await until(lambda: not store.pulls and len(store.told) > 1)
    assert store.told[-1] == far(100)
    assert len(store.told) <= took_s / EVERY_S + 2
    assert len(set(store.told)) == len(store.told)


async def test_what_stands_still_is_noted_again_and_no_news() -> None:
    store, noted = FakeStore(), list[str]()
    store.before = noted.append
    with Pulls(store=store, every_s=EVERY_S, again_s=EVERY_S).telling(pod()) as tell:
        tell(far(7))
        await until(lambda: len(noted) > 3)
        assert store.pulls == {POD: far(7)}
        assert store.told == [far(7)]
    await until(lambda: not store.pulls)


async def test_a_step_that_pulls_nothing_writes_nothing() -> None:
    """Nor a pull of which nothing is known yet."""
    store, noted = FakeStore(), list[str]()
    store.before = noted.append
    pulls = Pulls(store=store, every_s=EVERY_S)
    with pulls.telling(pod()):
        pass
    with pulls.telling(pod()) as tell:
        tell(far(0, layers=0))
    await pulls.close()
    assert not noted


async def test_a_store_that_never_answers_delays_nothing() -> None:
    class Silent(FakeStore):
        async def tell_progress(self, record: Record, progress: Progress, *, is_news: bool) -> None:
            await asyncio.Event().wait()

    pulls = Pulls(store=Silent(), every_s=EVERY_S)
    with pulls.telling(pod()) as tell:
        tell(far(1))
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await pulls.close()


async def test_a_store_that_is_away_is_told_again_once_it_is_back() -> None:
    store, tries = FakeStore(), list[str]()

    def away(operation: str) -> None:
        tries.append(operation)
        if len(tries) < 3:
            raise StoreUnavailableError("progress: Redis cannot be reached")

    store.before = away
    with Pulls(store=store, every_s=EVERY_S).telling(pod()) as tell:
        tell(far(1))
        await until(lambda: store.pulls == {POD: far(1)})
    await until(lambda: not store.pulls)


async def test_a_pull_that_fails_counts_as_ended() -> None:
    store = FakeStore()
    pulls = Pulls(store=store, every_s=60.0)

    async def fail() -> None:
        with pulls.telling(pod()) as tell:
            tell(far(1))
            await until(lambda: store.pulls)
            raise ImageNotFoundError("spec.image: there is none")

    with pytest.raises(ImageNotFoundError):
        await fail()
    await until(lambda: not store.pulls)
