"""A disk that does not answer delays its creations for a while, and nothing else."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.docker.directories import disk
from worker.docker.directories.disk import Disk
from worker.errors import OutcomeUnknownError
from worker.hanging import AT_ONCE, HangingThreads

ROOT = Path("/the/data/root")


class Mount:
    """A mount whose sync hangs until it is repaired."""

    def __init__(self) -> None:
        self.mended = threading.Event()
        self.asked = 0

    def sync(self, _root: Path) -> None:
        self.asked += 1
        assert self.mended.wait(60)


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    mount = Mount()
    monkeypatch.setattr(disk, "_sync", mount.sync)
    yield mount
    mount.mended.set()


async def test_a_sync_that_hangs_ends_at_its_deadline_and_names_the_disk(mount: Mount) -> None:
    with pytest.raises(OutcomeUnknownError, match="the disk of /the/data/root did not take"):
        await Disk(deadline_s=0.1, patience_s=0.05).sync(ROOT)


async def test_threads_that_hang_do_not_pile_up(mount: Mount) -> None:
    """However often it is tried; once the mount is repaired, everything goes on."""
    hung = Disk(deadline_s=0.1, patience_s=60)
    for _ in range(3):
        tries = [hung.sync(ROOT) for _ in range(2 * AT_ONCE)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert all(isinstance(outcome, OutcomeUnknownError) for outcome in outcomes)
    assert mount.asked == AT_ONCE
    mount.mended.set()
    await asyncio.gather(*(Disk(deadline_s=30, patience_s=60).sync(ROOT) for _ in range(3)))
    threads = HangingThreads(at_once=1)
    assert [await threads.run(lambda: 7, 30) for _ in range(3)] == [7, 7, 7]


async def test_what_a_thread_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_root: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk, "_sync", fail)
    with pytest.raises(OutcomeUnknownError, match=r"cannot be written to: .*Input/output error"):
        await Disk(deadline_s=30, patience_s=60).sync(ROOT)
