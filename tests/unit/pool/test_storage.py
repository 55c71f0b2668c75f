"""A pool that cannot be looked at harms no pod without one: that is an answer, and no failure of a pass."""

from typing import Any, cast

import pytest

from worker.errors import EngineUnavailableError, PodError
from worker.pods.observation import OnPool, WholePool
from worker.pool.errors import PoolCommandError, PoolMissingError, PoolUnfitError
from worker.pool.storage import PoolStorage


class Broken:
    """A pool on which every command fails."""

    path = "/pool"

    def __init__(self, error: PodError) -> None:
        self.error = error

    async def confirm(self) -> None:
        raise self.error

    async def run(self, *_: Any, **__: Any) -> str:
        raise self.error


def storage(error: PodError) -> PoolStorage:
    return PoolStorage(pool=cast("Any", Broken(error)), templates=cast("Any", None))


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
