"""A pool on the private Engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pool_rig import Rig
from tests.support.pools import Parts
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine


@pytest.fixture
def pool_file(engine: PrivateEngine, helper_image: str, tmp_path: Path) -> Iterator[PoolFile]:
    """A mounted pool."""
    file = PoolFile(engine, helper_image, tmp_path.name)
    file.mount()
    yield file
    file.unmount()


@pytest.fixture
async def make(
    engine: PrivateEngine, helper_image: str, pool_file: PoolFile, tmp_path: Path
) -> AsyncIterator[Callable[..., Parts]]:
    """Make what a worker would have; what was made in the Engine is removed afterwards."""
    made: list[Parts] = []

    def new(image: str = helper_image, place: str | None = None) -> Parts:
        made.append(Parts(engine, image, place or str(pool_file.place), tmp_path))
        return made[-1]

    yield new
    for each in made:
        await each.close()


@pytest.fixture
async def rig(make: Callable[..., Parts], engine: PrivateEngine, pool_file: PoolFile) -> Rig:
    """A pool with one template."""
    return await Rig.begun(make(), pool_file, engine)
