"""Looking at the Engine's disk: never through a pod's links, and while its programs work."""

import os
from pathlib import Path

import pytest

from worker.docker.directories.disk_view import _opened, _sizes


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the process."""
    folder = tmp_path / "root"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def blocks(*paths: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in paths)


def test_each_file_counts_once_and_what_is_on_volumes_of_their_own_does_not(inside: Path) -> None:
    (inside / "db").mkdir()
    (inside / "db" / "large").write_bytes(b"x" * 500_000)
    (inside / "file").write_bytes(b"x" * 100_000)
    (inside / "hard").hardlink_to(inside / "file")
    (inside / "dbx").write_bytes(b"x" * 10_000)
    (inside / "link").symlink_to("/etc")
    expected = blocks(inside, inside / "file", inside / "dbx", inside / "link")
    assert sum(_sizes(frozenset({"./db"}))) == expected


def test_what_a_program_removes_meanwhile_ends_nothing(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is measured while the pod runs."""
    for name in ("gone", "there"):
        (inside / name).write_bytes(b"x" * 10_000)
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        if path.endswith("gone"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr("worker.docker.directories.disk_view.os.lstat", lstat)
    assert sum(_sizes(frozenset())) == blocks(inside, inside / "there")


@pytest.mark.parametrize("path", ["link", "link/deep", "real/link", "file"])
def test_no_part_of_a_path_leads_over_a_link(tmp_path: Path, path: str) -> None:
    """Even if the link leads to a directory: it could be one of the host's."""
    (tmp_path / "real").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        _opened(tmp_path, path)
    assert Path(f"/proc/self/fd/{_opened(tmp_path, 'real')}").readlink() == tmp_path / "real"
