"""How much volumes take, counted by the program that a worker runs for it, on this machine's own disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worker.docker.directories import disk_use
from worker.docker.directories.disk_meter import measure

MB = 10**6


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    (tmp_path / "a" / "_data" / "deep" / "er").mkdir(parents=True)
    return tmp_path


def taken(volumes: Path, name: str = "a") -> int:
    folder = os.open(volumes, os.O_RDONLY)
    try:
        return sum(disk_use.sizes(name, folder))
    finally:
        os.close(folder)


def remove(path: Path) -> None:
    """Remove a tree that is deeper than Python can walk."""
    subprocess.run(["rm", "-rf", path], check=True)


def write(path: Path, size: int = MB) -> None:
    with path.open("wb") as file:
        file.write(os.urandom(size))
        os.fsync(file.fileno())


def test_files_count_with_what_they_take_on_the_disk(volumes: Path) -> None:
    empty = taken(volumes)
    write(volumes / "a/_data/deep/er/file")
    with (volumes / "a/_data/sparse").open("wb") as file:
        file.truncate(1000 * MB)
    assert MB <= taken(volumes) - empty < 1.1 * MB


def test_a_file_with_several_names_counts_once(volumes: Path) -> None:
    empty = taken(volumes)
    write(volumes / "a/_data/file")
    for name in ("other", "deep/third"):
        (volumes / "a/_data" / name).hardlink_to(volumes / "a/_data/file")
    assert MB <= taken(volumes) - empty < 1.1 * MB


def test_no_link_leads_out_of_a_volume(volumes: Path) -> None:
    empty = taken(volumes)
    (volumes / "host").mkdir()
    write(volumes / "host/file", 5 * MB)
    (volumes / "a/_data/folder").symlink_to(volumes / "host")
    (volumes / "a/_data/file").symlink_to(volumes / "host/file")
    (volumes / "b").mkdir()
    (volumes / "b/_data").symlink_to(volumes / "host")
    assert taken(volumes) - empty < MB
    assert taken(volumes, "b") < MB


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    volumes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its name and its opening: a pod may try that as often as it likes."""
    (volumes / "host").mkdir()
    write(volumes / "host/file", 5 * MB)
    victim, real = volumes / "a/_data/deep", os.stat
    swapped: list[Path] = []

    def swapping(path: Any, **more: Any) -> os.stat_result:
        found = real(path, **more)
        if path == "deep" and not swapped:
            swapped.append(victim.rename(volumes / "away"))
            victim.symlink_to(volumes / "host")
        return found

    monkeypatch.setattr(os, "stat", swapping)
    assert taken(volumes) < MB
    assert swapped


async def test_what_is_not_there_is_left_out(volumes: Path) -> None:
    write(volumes / "a/_data/file")
    found = await measure(volumes, ["a", "gone"])
    if os.geteuid() != 0:
        assert found is None
        return
    assert found is not None
    assert found.keys() == {"a"}
    assert (found["a"] or 0) >= MB


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read volumes")
async def test_a_volume_too_deep_to_walk_through_keeps_no_other_from_being_measured(volumes: Path) -> None:
    (volumes / "b" / "_data").mkdir(parents=True)
    write(volumes / "b/_data/file")
    here = folder = os.open(volumes / "a/_data", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=folder)
        deeper = os.open("d", os.O_RDONLY, dir_fd=folder)
        if folder != here:
            os.close(folder)
        folder = deeper
    os.close(folder)
    os.close(here)
    try:
        found = await measure(volumes, ["a", "b"])
    finally:
        remove(volumes / "a")
    assert found is not None
    assert "a" in found, "with a number, if this Python can walk so deep"
    assert (found["b"] or 0) >= MB


async def test_a_folder_that_cannot_be_seen_is_not_taken_for_an_empty_one(volumes: Path) -> None:
    assert await measure(volumes / "nowhere", ["a"]) is None
    assert await measure(volumes, []) == {}


def test_it_takes_the_lowest_priority_and_little_memory(tmp_path: Path) -> None:
    """The worker shares its memory limit with it, and a pod decides what there is to remember."""
    code = (
        "import os, resource\n"
        "from worker.docker.directories.disk_use import main\n"
        "main()\n"
        "print(*resource.getrlimit(resource.RLIMIT_AS), os.nice(0))"
    )
    order = json.dumps({"volumes": str(tmp_path), "names": []})
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, input=order, capture_output=True, text=True, check=True).stdout
    most = 512 * 2**20
    assert [int(word) for word in said.split()] == [most, most, 19]
