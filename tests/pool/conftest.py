"""A pool on the private Engine."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.pool_life import Life, living
from tests.support.pool_rig import Rig
from tests.support.pools import Parts
from tests.support.stack import HELPER, Stack, own_stack
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


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str], helper_image: str) -> Iterator[Stack]:
    """A worker whose host has a pool of its own."""
    assert helper_image == HELPER
    own = {"PINACLE_POOL": "its own", "PINACLE_DISK_INTERVAL_S": "1"}
    with own_stack(scratch, {**settings, **own}) as made:
        yield made


@pytest.fixture
def pool(stack: Stack) -> Iterator[PoolFile]:
    """That pool; what a test leaves on it is deleted."""
    assert stack.pool is not None
    yield stack.pool
    for pod_id in stack.phases():
        assert stack.client.call("delete", pod_id)["phase"] == "deleted"


@pytest.fixture
async def life(
    make: Callable[..., Parts], engine: PrivateEngine, pool_file: PoolFile, redis_url: str
) -> AsyncIterator[Life]:
    async with living(make(), engine, pool_file, redis_url) as life:
        yield life
