"""A pod's limit holds however its owner writes, and a pod that is full always has a way out."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fcntl import ioctl
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from tests.support.pool_rig import LIMIT, MB, Rig, fill
from tests.support.pools import Parts
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine

_SLACK: Final = 10 * MB
"""How far below its limit a pod may end: what is being written at that moment is reserved."""
_MOST_USED: Final = LIMIT + LIMIT // 100
"""A snapshot or a subvolume is noted even where nothing else can be."""
_MOST: Final = 400
"""Pieces that one way writes, if nothing ends it: what shares or compresses its data is hardly charged."""
_FICLONE: Final = 0x40049409
_SET_FLAGS: Final = 0x40086602
_COMPRESSED: Final = 0x4
_EXTENTS: Final = 100_000
_PODS: Final = 100
_SMALL: Final = 100 * MB
_SNAPSHOT: Final = """
mkdir -p /pool/kept
btrfs subvolume snapshot -r "/pool/pods/$1" "/pool/kept/$2" > /dev/null
btrfs filesystem sync /pool
"""
_DROP: Final = """
btrfs subvolume delete --commit-after "/pool/kept/$1" > /dev/null
btrfs subvolume sync /pool
"""


def plain(folder: Path) -> Iterator[None]:
    with (folder / "plain").open("wb", buffering=0) as file:
        for _ in range(_MOST):
            file.write(os.urandom(MB))
            yield


def sparse(folder: Path) -> Iterator[None]:
    with (folder / "sparse").open("wb", buffering=0) as file:
        for place in range(_MOST):
            os.pwrite(file.fileno(), os.urandom(MB // 4), place * 10 * MB)
            yield


def preallocated(folder: Path) -> Iterator[None]:
    with (folder / "preallocated").open("wb", buffering=0) as file:
        for place in range(_MOST):
            os.posix_fallocate(file.fileno(), place * MB, MB)
            yield


def compressed(folder: Path) -> Iterator[None]:
    inner = folder / "compressed"
    inner.mkdir()
    directory = os.open(inner, os.O_RDONLY)
    ioctl(directory, _SET_FLAGS, _COMPRESSED.to_bytes(8, "little"))
    os.close(directory)
    for number in range(_MOST):
        (inner / str(number)).write_bytes(os.urandom(MB // 8) * 8)
        yield


def hard_linked(folder: Path) -> Iterator[None]:
    for number in range(_MOST):
        (folder / f"linked-{number}").write_bytes(os.urandom(MB // 2))
        for other in range(50):
            (folder / f"linked-{number}-{other}").hardlink_to(folder / f"linked-{number}")
        yield


def reflinked(folder: Path) -> Iterator[None]:
    first = folder / "reflinked"
    first.write_bytes(os.urandom(MB))
    for number in range(_MOST):
        with first.open("rb") as source, (folder / f"reflinked-{number}").open("w+b") as target:
            ioctl(target, _FICLONE, source.fileno())
            # Half of it gets data of its own.
            os.pwrite(target.fileno(), os.urandom(MB // 2), 0)
        yield


def tiny(folder: Path) -> Iterator[None]:
    """Files whose data btrfs keeps with its own notes."""
    for number in range(_MOST):
        for inner in range(100):
            (folder / f"tiny-{number}-{inner}").write_bytes(os.urandom(2000))
        yield


WAYS: Final = (plain, sparse, preallocated, compressed, hard_linked, reflinked, tiny)


def write(way: Callable[[Path], Iterator[None]], folder: Path) -> bool:
    """Write in one way; return whether the limit ended it."""
    try:
        for _ in way(folder):
            pass
    except OSError as error:
        assert error.errno == errno.EDQUOT  # noqa: PT017 - a full filesystem would be another failure
        return True
    return False


def on_disk(folder: Path) -> int:
    """Return the bytes that files take, as the kernel tells without groups; many names of one count once."""
    sizes = {each.lstat().st_ino: each.lstat().st_blocks * 512 for each in folder.rglob("*")}
    return sum(sizes.values())


async def at_once(*calls: Callable[[], bool]) -> list[bool]:
    with ThreadPoolExecutor(len(calls)) as threads:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(threads, call) for call in calls))


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
async def test_each_way_to_write_ends_at_the_limit(rig: Rig, way: Callable[[Path], Iterator[None]]) -> None:
    await rig.make("a")
    await rig.make("beside")
    assert await asyncio.to_thread(write, way, rig.at("a") / "home")
    assert LIMIT - _SLACK < (await rig.of("a")).used <= _MOST_USED
    assert (await rig.of("beside")).used < MB
    assert await asyncio.to_thread(fill, rig.at("beside") / "home/big", 20 * MB) == 20 * MB


async def test_all_ways_at_once_through_every_volume_end_at_the_limit(rig: Rig) -> None:
    await rig.make("a")
    before = on_disk(rig.at("a"))
    places = [rig.at("a") / volume for volume in ("opt", "home", "bin")]
    ended = await at_once(
        *(lambda way=way, number=number: write(way, places[number % 3]) for number, way in enumerate(WAYS))
    )
    assert all(ended)
    assert LIMIT - _SLACK < (await rig.of("a")).used <= _MOST_USED
    assert on_disk(rig.at("a")) - before < 4 * LIMIT, "what shares its data counts for each of its files here"


async def test_what_snapshots_keep_counts_until_they_go(rig: Rig) -> None:
    """Who writes, keeps and removes in a loop gets no more than who does not; then there is a way out."""
    await rig.make("a")
    names = [str(number) for number in range(4)]
    for name in names:
        await asyncio.to_thread(fill, rig.at("a") / "home/big", 15 * MB)
        await rig.run(_SNAPSHOT, "a", name)
        (rig.at("a") / "home/big").unlink(missing_ok=True)
        assert (await rig.of("a")).used <= _MOST_USED
    assert await asyncio.to_thread(fill, rig.at("a") / "home/big") < _SLACK
    (rig.at("a") / "home/big").unlink(missing_ok=True)
    for name in names:
        await rig.run(_DROP, name)
    assert (await rig.of("a")).used < _SLACK
    assert await asyncio.to_thread(fill, rig.at("a") / "home/big", 20 * MB) == 20 * MB


async def test_nested_subvolumes_count_too(rig: Rig) -> None:
    """A pod's root makes none, as a profile forbids it; if one is there all the same, it is charged."""
    await rig.make("a")
    await rig.run("btrfs subvolume create /pool/pods/a/home/one")
    await rig.run("btrfs subvolume create /pool/pods/a/home/one/two")
    await asyncio.to_thread(fill, rig.at("a") / "home/one/big", 15 * MB)
    await asyncio.to_thread(fill, rig.at("a") / "home/one/two/big")
    assert LIMIT - _SLACK < (await rig.of("a")).used <= _MOST_USED
    assert await asyncio.to_thread(fill, rig.at("a") / "opt/big") < _SLACK


async def test_the_limit_holds_right_after_a_snapshot_of_many_extents_was_dropped(rig: Rig) -> None:
    """Full groups are inconsistent then, and limit nothing until all is counted again."""
    limit = _EXTENTS * 4096 + 3 * LIMIT
    await rig.make("a", limit=limit)

    def spread() -> None:
        with (rig.at("a") / "home/spread").open("wb", buffering=0) as file:
            for place in range(_EXTENTS):
                os.posix_fallocate(file.fileno(), place * 8192, 4096)

    await asyncio.to_thread(spread)
    await rig.run(_SNAPSHOT, "a", "one")
    (rig.at("a") / "home/spread").unlink()
    await rig.pods.set_limit("a", await rig.of("a"), (await rig.of("a")).used + LIMIT)
    await rig.run('btrfs subvolume delete "/pool/kept/$1"', "one")
    held = 0
    for number in count():
        now = await asyncio.to_thread(fill, rig.at("a") / f"home/big-{number}", 100 * MB)
        held += now
        if now < 100 * MB:
            break
    found = await rig.of("a")
    assert found.limit is not None
    assert held <= found.limit
    assert found.used <= found.limit + LIMIT // 100


@pytest.fixture
async def roomy(
    engine: PrivateEngine, helper_image: str, make: Callable[..., Parts], tmp_path: Path
) -> AsyncIterator[Rig]:
    """A pool with room for a hundred small pods; hardly any of it is written."""
    file = PoolFile(engine, helper_image, f"{tmp_path.name}-roomy", size_bytes=16 * 2**30)
    file.mount()
    yield await Rig.begun(make(place=str(file.place)), file, engine)
    file.unmount()


def fill_to_the_brim(folder: Path) -> None:
    with (folder / "most").open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, _SMALL - 3 * MB)
    assert fill(folder / "rest") < _SLACK


async def test_a_hundred_full_pods_are_entered_emptied_and_enlarged(roomy: Rig) -> None:
    """One after the other, half of them with a snapshot in between; none is stuck, none loses anything."""
    ids = [f"p{number}" for number in range(_PODS)]
    for pod_id in ids:
        await roomy.make(pod_id, limit=_SMALL)
        home = roomy.at(pod_id) / "home"
        (home / "mine").write_text(pod_id)
        await asyncio.to_thread(fill_to_the_brim, home)
    full = (await roomy.pods.list()).pods
    assert full.keys() == set(ids)
    assert all(_SMALL - _SLACK < pod.used <= _SMALL for pod in full.values())
    for number, pod_id in enumerate(ids):
        home = roomy.at(pod_id) / "home"
        if number % 2:
            await roomy.run(_SNAPSHOT, pod_id, pod_id)
        await roomy.pods.set_limit(pod_id, full[pod_id], 2 * _SMALL)
        assert await asyncio.to_thread(fill, home / "more", 5 * MB) == 5 * MB
        for name in ("most", "rest", "more"):
            (home / name).unlink()
        if number % 2:
            await roomy.run(_DROP, pod_id)
    emptied = (await roomy.pods.list()).pods
    assert all(pod.used < _SLACK and pod.limit == 2 * _SMALL for pod in emptied.values())
    assert all((roomy.at(pod_id) / "home/mine").read_text() == pod_id for pod_id in ids)
