"""A pool that cannot be looked at harms no pod without one: that is an answer, and no failure of a pass."""

from typing import Any, cast

import pytest

from tests.unit.pool.test_groups import LISTED, PRINTED, UUID
from worker.errors import EngineUnavailableError, ForeignObjectError, PodError
from worker.pods.observation import OnPool, WholePool
from worker.pool.errors import PoolCommandError, PoolMissingError, PoolUnfitError
from worker.pool.storage import PoolStorage


class Broken:
    """A pool on which every command fails."""

    path = "/pool"
    is_open = True

    def __init__(self, error: PodError) -> None:
        self.error = error

    async def open(self, known: str | None) -> None:
        raise self.error

    async def confirm(self) -> None:
        raise self.error

    async def run(self, *_: Any, **__: Any) -> str:
        raise self.error


def storage(error: PodError) -> PoolStorage:
    return PoolStorage(pool=cast("Any", Broken(error)), templates=cast("Any", None), fill_deadline_s=60)


@pytest.mark.parametrize("kind", [PoolMissingError, PoolUnfitError, PoolCommandError, EngineUnavailableError])
async def test_a_pass_goes_on(kind: type[PodError]) -> None:
    assert await storage(kind("why")).whole() == WholePool(problem="why")


@pytest.mark.parametrize("kind", [PoolMissingError, PoolUnfitError])
async def test_what_a_person_has_to_mend_is_said_of_the_pod(kind: type[PodError]) -> None:
    assert await storage(kind("why")).look("a") == OnPool(problem="why")
    assert await storage(kind("why")).confirm() == "why"


@pytest.mark.parametrize("kind", [PoolCommandError, EngineUnavailableError])
async def test_what_passes_is_tried_again(kind: type[PodError]) -> None:
    with pytest.raises(kind):
        await storage(kind("why")).look("a")


async def test_why_it_could_not_be_opened_is_said_of_every_pod() -> None:
    own = Broken(PoolUnfitError("no image"))
    own.is_open = False
    shown = PoolStorage(pool=cast("Any", own), templates=cast("Any", None), fill_deadline_s=60)
    with pytest.raises(PoolUnfitError):
        await shown.open(None)
    own.error = PoolMissingError("not seen yet")
    assert await shown.look("a") == OnPool(problem="no image")
    assert await shown.whole() == WholePool(problem="no image")


class Listed:
    """A pool that has two pods, one that was begun, and the group of one that is gone."""

    path = "/pool"
    is_open = True

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def confirm(self) -> None:
        return

    async def run(self, what: str, _script: str, *arguments: str) -> str:
        self.sent.append(" ".join([what, *arguments]))
        return f"{PRINTED}\n{LISTED}" if what == "pool: list" else ""

    def changes(self) -> list[str]:
        return [each for each in self.sent if each != "pool: list"]


@pytest.fixture
def pool() -> Listed:
    return Listed()


@pytest.fixture
def listed(pool: Listed) -> PoolStorage:
    return PoolStorage(pool=cast("Any", pool), templates=cast("Any", None), fill_deadline_s=60)


async def test_what_has_another_uuid_is_neither_removed_nor_limited(
    listed: PoolStorage, pool: Listed
) -> None:
    for incarnation, pod_id in ((None, "a"), ("1234", "c")):
        with pytest.raises(ForeignObjectError):
            await listed.remove(pod_id, "another", incarnation)
    for pod_id in ("a", "nobody"):
        with pytest.raises(ForeignObjectError):
            await listed.limit(pod_id, "another", 10**9)
    await listed.remove("nobody", UUID, None)
    assert pool.changes() == []
    await listed.limit("a", UUID, 10**9)
    await listed.remove("a", UUID, None)
    await listed.remove("c", UUID, "1234")
    kinds = [each.split()[1] for each in pool.changes()]
    assert kinds == ["limit", "remove", "remove"]


async def test_an_empty_group_goes_when_it_is_found_so_twice(listed: PoolStorage, pool: Listed) -> None:
    """That of a pod that is being made has nothing for a moment."""
    await listed.whole()
    assert pool.changes() == []
    await listed.whole()
    assert pool.changes() == ["pool: sweep 1/99"]
