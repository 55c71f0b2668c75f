"""Templates on a real Engine and a real btrfs: whole, or not there."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import CACHE
from tests.support.engines import private_engine
from tests.support.pools import Parts
from worker.errors import PodError, RetryableError
from worker.local.images import Folder, import_busybox, import_helper
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.pods.model import PinnedImage
from worker.pool.errors import PoolMissingError, PoolUnfitError
from worker.pool.templates import Templates, template_name

Make = Callable[..., Parts]
VOLUMES: Final = {
    "usr": "/usr",
    "usr-local": "/usr/local",
    "var": "/var",
    "declared.db": "/var/lib/db",
    "opt": "/opt",
    "data": "/data",
}


@pytest.fixture
async def image(engine: PrivateEngine, make: Make) -> PinnedImage:
    """An image with owners, modes and a secret below a nested mount point."""
    import_busybox(
        engine,
        "pinacle-template",
        changes=("VOLUME /var/lib/db",),
        files={"usr/local/note": b"local\n", "var/lib/db/secret": b"db\n", "data/file": b"data\n"},
        folders=(Folder("data", 0o2751, 1234, 4321), Folder("var/lib/db", 0o700, 999, 999)),
    )
    found = await make().docker.find_image("pinacle-template")
    assert found is not None
    return found


def left(pool: PoolFile) -> set[str]:
    return {path.name for path in (pool.seen / "templates").iterdir()}


async def opened(make: Make) -> Parts:
    parts = make()
    await parts.pool.open(None)
    return parts


async def test_a_template_has_what_the_image_has(
    make: Make, image: PinnedImage, pool_file: PoolFile, engine: PrivateEngine
) -> None:
    parts = await opened(make)
    templates = Templates(parts.pool, parts.filling)
    made = await templates.of(image, VOLUMES)
    assert made.read_only
    root = pool_file.seen / "templates" / template_name(image.id, VOLUMES)
    assert {path.name for path in root.iterdir()} == set(VOLUMES)
    assert (root / "usr-local/note").read_text() == "local\n"
    assert (root / "declared.db/secret").read_text() == "db\n"
    assert (root / "opt/readme").exists()
    stat = (root / "data").stat()
    assert (stat.st_uid, stat.st_gid, stat.st_mode & 0o7777) == (1234, 4321, 0o2751)
    with pytest.raises(OSError, match="Read-only"):
        (root / "data/new").touch()
    assert await templates.of(image, VOLUMES) == made
    assert left(pool_file) == {root.name}
    assert "pinacle-base-pool-" not in engine.docker("volume", "ls", "-q") + engine.docker("ps", "-a")


async def test_what_another_volume_hides_is_not_kept_twice(
    make: Make, image: PinnedImage, pool_file: PoolFile
) -> None:
    parts = await opened(make)
    await Templates(parts.pool, parts.filling).of(image, VOLUMES)
    root = pool_file.seen / "templates" / template_name(image.id, VOLUMES)
    for shadowed in ("usr/local", "var/lib/db"):
        assert (root / shadowed).is_dir()
        assert list((root / shadowed).iterdir()) == []
    assert ((root / "var/lib/db").stat().st_uid, (root / "var/lib/db").stat().st_mode & 0o777) == (999, 0o700)


async def test_a_link_in_an_image_leads_to_nothing_of_another(
    make: Make, engine: PrivateEngine, pool_file: PoolFile
) -> None:
    """Of `usr/lib/nested` only `usr` is a directory of ours; `lib` is the image's, and may be a link."""
    parts = await opened(make)
    victim = pool_file.seen / "pods" / "victim"
    (victim / "nested").mkdir(parents=True)
    (victim / "nested" / "file").touch()
    import_busybox(engine, "pinacle-linked", links={"opt/lib": "../../../pods/victim"})
    image = await parts.docker.find_image("pinacle-linked")
    assert image is not None
    templates = Templates(parts.pool, parts.filling)
    await templates.of(image, {"opt": "/opt", "nested": "/opt/lib/nested"})
    assert (victim / "nested" / "file").exists()


class CutOff:
    """Fills one directory, then ends as a worker that is killed does: nothing is done afterwards."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
        some = dict(list(directories.items())[:1])
        await self._parts.filling.fill(image, some, attempt=attempt)
        raise asyncio.CancelledError


async def test_a_half_filled_template_is_never_used(
    make: Make, image: PinnedImage, pool_file: PoolFile
) -> None:
    parts = await opened(make)
    with pytest.raises(asyncio.CancelledError):
        await Templates(parts.pool, CutOff(parts)).of(image, VOLUMES)
    (cut,) = left(pool_file)
    assert cut.startswith(f".{template_name(image.id, VOLUMES)}-")
    templates = Templates(parts.pool, parts.filling)
    assert await templates.find(image, VOLUMES) is None
    await templates.of(image, VOLUMES)
    root = pool_file.seen / "templates" / template_name(image.id, VOLUMES)
    assert left(pool_file) == {root.name}
    assert (root / "data/file").read_text() == "data\n"


@pytest.mark.usefixtures("helper_image")
async def test_an_engine_that_is_killed_leaves_no_template(scratch: Path, tmp_path: Path) -> None:
    engine = private_engine(scratch / "killed", None)
    engine.start()
    file = PoolFile(engine, import_helper(engine, CACHE), "killed")
    file.mount()
    parts = Parts(engine, "pinacle-helper", str(file.place), tmp_path)
    try:
        await parts.pool.open(None)
        import_busybox(engine)
        image = await parts.docker.find_image("pinacle-busybox")
        assert image is not None
        volumes = {"opt": "/opt", "bin": "/bin"}
        with pytest.raises(PodError):
            await Templates(parts.pool, Killed(engine, parts)).of(image, volumes)
        await asyncio.to_thread(engine.start)
        if not file.seen.is_mount():
            file.mount()
        (cut,) = left(file)
        assert cut.startswith(".")
        templates = Templates(parts.pool, parts.filling)
        assert await templates.find(image, volumes) is None
        assert (await templates.of(image, volumes)).read_only
        assert left(file) == {template_name(image.id, volumes)}
    finally:
        await parts.close()
        file.unmount()
        engine.destroy()


class Killed:
    """Fills, and the Engine is killed in the middle."""

    def __init__(self, engine: PrivateEngine, parts: Parts) -> None:
        self._engine = engine
        self._parts = parts

    async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
        killer = threading.Timer(0.1, self._engine.kill)
        killer.start()
        try:
            await self._parts.filling.fill(image, directories, attempt=attempt)
        finally:
            await asyncio.to_thread(killer.join)


async def test_whoever_is_second_uses_the_template_of_the_first(
    make: Make, image: PinnedImage, pool_file: PoolFile
) -> None:
    first, second = await opened(make), await opened(make)

    class Slow:
        async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
            await second.filling.fill(image, directories, attempt=attempt)
            theirs.append(await Templates(first.pool, first.filling).of(image, VOLUMES))

    theirs: list[object] = []
    # The first removes what it takes for a leftover: then the second has nothing to give the name to.
    with pytest.raises(RetryableError):
        await Templates(second.pool, Slow()).of(image, VOLUMES)
    assert await Templates(second.pool, Slow()).of(image, VOLUMES) == theirs[0]
    assert left(pool_file) == {template_name(image.id, VOLUMES)}


async def test_a_name_that_is_taken_meanwhile_is_not_written_into(
    make: Make, image: PinnedImage, pool_file: PoolFile
) -> None:
    parts = await opened(make)
    name = template_name(image.id, VOLUMES)

    class Taken:
        async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
            script = 'cd /pool/templates; btrfs subvolume create "$1"; btrfs property set -ts "$1" ro true'
            await parts.pool.run("test", script, name)

    await Templates(parts.pool, Taken()).of(image, VOLUMES)
    assert left(pool_file) == {name}
    assert list((pool_file.seen / "templates" / name).iterdir()) == []


async def test_what_can_be_written_is_no_template(
    make: Make, image: PinnedImage, pool_file: PoolFile
) -> None:
    parts = await opened(make)
    await parts.pool.run(
        "test", 'btrfs subvolume create "/pool/templates/$1"', template_name(image.id, VOLUMES)
    )
    with pytest.raises(PoolUnfitError, match="can be written"):
        await Templates(parts.pool, parts.filling).of(image, VOLUMES)


async def test_nothing_is_made_while_the_pool_is_not_mounted(
    make: Make, image: PinnedImage, pool_file: PoolFile, engine: PrivateEngine
) -> None:
    parts = await opened(make)
    pool_file.unmount()
    with pytest.raises(PoolMissingError):
        await Templates(parts.pool, parts.filling).of(image, VOLUMES)
    assert list(pool_file.seen.iterdir()) == []
    pool_file.mount()
    assert left(pool_file) == set()
    assert (await Templates(parts.pool, parts.filling).of(image, VOLUMES)).read_only
