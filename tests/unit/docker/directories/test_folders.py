"""Which failures of a copy pass, and how much a directory needs if the Engine does not say."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

import pytest

from worker.docker.archives import Sieve
from worker.docker.directories import disk_copy
from worker.docker.directories.disk_copy import _check
from worker.docker.directories.folders import Folders
from worker.errors import CopyFailedError, EngineUnavailableError, OutcomeUnknownError, PodError

NOWHERE: Final = Path("/nonexistent")


class Calls:
    """An Engine with one container, which says nothing about its size unless a test gives it."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size

    def count(self, operation: str) -> None:
        pass

    async def json(self, operation: str, method: str, path: str, **more: Any) -> Any:
        if path == "info":
            return {"DockerRootDir": str(NOWHERE)}
        if path.startswith("volumes/"):
            return {"Mountpoint": str(NOWHERE / "volume")}
        return {"Id": "c", "Mounts": [], **({} if self.size is None else {"SizeRootFs": self.size})}


class Scratch:
    """Archives of 7000 bytes, whose copying fails as a test says."""

    def __init__(self, failure: Exception | None = None, problem: str | None = None) -> None:
        self.failure, self.problem = failure, problem
        self.counted: list[str] = []
        self.copied: list[str] = []

    async def count(self, container: str, path: str, sieve: Sieve) -> int:
        self.counted.append(path)
        return 7000

    @asynccontextmanager
    async def created(self, name: str, body: Any) -> AsyncIterator[str]:
        yield "filler"

    async def copy(self, container: str, path: str, target: str, sieve: Sieve) -> None:
        sieve.problem = self.problem
        self.copied.append(path)
        if self.failure is not None:
            raise self.failure


def folders(calls: Calls, scratch: Scratch) -> Folders:
    async def no_init() -> str | None:
        return None

    return Folders(
        calls=cast("Any", calls),
        scratch=cast("Any", scratch),
        fill_deadline_s=60,
        given_root=NOWHERE,
        find_init=no_init,
    )


async def test_if_the_engine_gives_no_size_each_directory_is_measured() -> None:
    """An unknown size is not a size of 0."""
    scratch = Scratch()
    found = await folders(Calls(), scratch).measure("c", ["/data"], floor_bytes=0)
    assert (found.needed_bytes, scratch.counted) == (7000, ["/data"])


async def test_where_the_whole_container_fits_nothing_is_measured() -> None:
    scratch = Scratch()
    found = await folders(Calls(size=5_000_000), scratch).measure("c", ["/data"], floor_bytes=0)
    assert (found.needed_bytes, scratch.counted) == (5_000_000, [])
    large = await folders(Calls(size=10**15), scratch).measure("c", ["/data"], floor_bytes=0)
    assert (large.needed_bytes, scratch.counted) == (7000, ["/data"])


def caused(error: PodError, cause: Exception) -> PodError:
    error.__cause__ = cause
    return error


FULL: Final = EngineUnavailableError("archive_write: the Engine failed with 500: no space left on device")
LATE: Final = caused(OutcomeUnknownError("archive_read: broke off"), TimeoutError())


@pytest.mark.parametrize(
    ("failure", "problem", "expected"),
    [
        (FULL, None, CopyFailedError),
        (LATE, None, CopyFailedError),
        (OutcomeUnknownError("archive_write: broke off"), "a hard link", CopyFailedError),
        (EngineUnavailableError("the Engine cannot be reached"), None, EngineUnavailableError),
        (EngineUnavailableError("500: a runtime fails at this time"), None, EngineUnavailableError),
        (OutcomeUnknownError("archive_write: broke off: reset"), None, OutcomeUnknownError),
    ],
)
async def test_what_passes_is_tried_again_and_what_does_not_gives_the_update_up(
    failure: PodError, problem: str | None, expected: type[PodError]
) -> None:
    """The pod is stopped meanwhile: what would take as long the next time is not begun again at once."""
    with pytest.raises(expected) as raised:
        await folders(Calls(), Scratch(failure, problem)).copy("c", "/data", "volume", [])
    assert type(raised.value) is expected


def test_a_copy_that_was_killed_is_no_copy_that_cannot_be_made() -> None:
    class Ended:
        returncode = -9

    with pytest.raises(OutcomeUnknownError, match="signal 9"):
        _check(cast("Any", Ended()), b"")
    Ended.returncode = 2
    with pytest.raises(CopyFailedError, match="No space"):
        _check(cast("Any", Ended()), b"tar: No space left")
    Ended.returncode = 0
    _check(cast("Any", Ended()), b"")


async def test_a_volume_that_shows_something_else_is_written_through_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was written to its own folder on the disk would be hidden below what it shows."""

    class Shown(Calls):
        options: Mapping[str, str] = MappingProxyType({})

        async def json(self, operation: str, method: str, path: str, **more: Any) -> Any:
            driver = {"Name": "overlay2", "Data": {"UpperDir": str(NOWHERE / "layer" / "diff")}}
            found = await super().json(operation, method, path, **more)
            return {**found, "GraphDriver": driver, "Options": self.options}

    async def on_disk(*_: object) -> bool:
        return True

    monkeypatch.setattr(disk_copy, "copy", on_disk)
    shown, scratch = Shown(), Scratch()
    await folders(shown, scratch).copy("c", "/data", "volume", [])
    assert scratch.copied == []
    shown.options = {"type": "none", "o": "bind", "device": "/pool/pods/a/data"}
    await folders(shown, scratch).copy("c", "/data", "volume", [])
    assert scratch.copied == ["/data"]
