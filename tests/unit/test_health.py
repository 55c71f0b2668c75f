"""What `worker.health` concludes from workers' files, and from files that others put there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from worker.health import OLDEST_S, Heart, UnsafeFolderError, problems

KILLED = """
import os, pathlib, sys
from worker.health import Heart
heart = Heart("dead", pathlib.Path(sys.argv[1]))
heart.consumer_begins()
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "hearts"


@pytest.fixture
def heart(folder: Path) -> Iterator[Heart]:
    heart = Heart("here", folder)
    yield heart
    heart.close()


def age(path: Path, seconds: float) -> None:
    then = monotonic() - seconds
    os.utime(path, (then, then))


def own(folder: Path, suffix: str = "") -> Path:
    return folder / f"here.{os.getpid()}{suffix}"


def test_a_worker_that_beats_is_well_and_its_folder_private(heart: Heart, folder: Path) -> None:
    assert problems(folder) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    assert own(folder).stat().st_mode & 0o777 == 0o600


def test_a_loop_that_hangs_is_named(heart: Heart, folder: Path) -> None:
    """Although its process is alive; and it is healthy again once it beats."""
    age(own(folder), OLDEST_S + 1)
    (problem,) = problems(folder)
    assert f"worker here.{os.getpid()}: its event loop hangs" in problem
    heart.beat()
    assert problems(folder) == []


def test_a_consumer_that_hangs_is_named_while_the_loop_beats(heart: Heart, folder: Path) -> None:
    """One that has lost its connection does not hang: that is the broker's fault."""
    heart.consumer_begins()
    assert problems(folder) == []
    age(own(folder, ".consumer"), 2 * OLDEST_S + 1)
    heart.beat()
    (problem,) = problems(folder)
    assert "its consumer of messages hangs" in problem
    heart.consumer_ends()
    heart.consumer_ends()
    assert problems(folder) == []


def test_the_ages_of_beats_are_reported_but_none_of_a_consumer_without_a_connection(
    heart: Heart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the metrics: by the monotonic clock, like everything here."""
    now = monotonic()
    monkeypatch.setattr("worker.health.monotonic", lambda: now)
    heart.beat()
    assert heart.ages() == {"event_loop": 0.0}
    heart.consumer_begins()
    now += 40
    assert heart.ages() == {"event_loop": 40.0, "consumer": 40.0}
    heart.beat()
    now += 1
    heart.consumer_beats()
    assert heart.ages() == {"event_loop": 1.0, "consumer": 0.0}
    heart.consumer_ends()
    assert heart.ages() == {"event_loop": 1.0}


def test_another_worker_does_not_speak_for_one_that_hangs(heart: Heart, folder: Path) -> None:
    """Each is named by its host; the check can be limited to one host."""
    other = Heart("there", folder)
    try:
        age(own(folder), OLDEST_S + 1)
        assert len(problems(folder)) == 1
        assert problems(folder, host="there") == []
        assert len(problems(folder, host="here")) == 1
        assert "no worker of host nowhere" in problems(folder, host="nowhere")[0]
    finally:
        other.close()


def test_a_worker_that_was_killed_does_not_count_as_alive_and_its_files_are_removed(folder: Path) -> None:
    """The lock shows it; a process that gets the same pid does not have it."""
    subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert len(list(folder.iterdir())) == 2
    assert "no worker is alive" in problems(folder)[0]
    Heart("here", folder).close()
    assert list(folder.iterdir()) == []


def test_a_folder_that_was_cleared_is_made_again(heart: Heart, folder: Path) -> None:
    own(folder).unlink()
    folder.rmdir()
    assert "no worker has begun" in problems(folder)[0]
    heart.beat()
    assert problems(folder) == []


@pytest.mark.parametrize("kind", ["link", "open to others", "another's"])
def test_a_folder_that_is_not_ones_own_is_neither_used_nor_believed(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    """Another user who may write there could fake a worker's files, or make it write elsewhere."""
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    if kind == "link":
        folder.symlink_to(real)
    else:
        folder.mkdir(mode=0o700)
        folder.chmod(0o755 if kind == "open to others" else 0o700)
        if kind == "another's":
            os.chown(folder, 12345, 12345)
    for use in (lambda: problems(folder), lambda: Heart("here", folder)):
        with pytest.raises(UnsafeFolderError, match="mode 700"):
            use()
    assert list(real.iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path, folder: Path) -> None:
    """It is replaced, and what it leads to stays as it is."""
    target = tmp_path / "target"
    target.write_text("theirs")
    before = target.stat().st_mtime_ns
    folder.mkdir(mode=0o700)
    own(folder).symlink_to(target)
    heart = Heart("here", folder)
    heart.beat()
    heart.close()
    assert (target.read_text(), target.stat().st_mtime_ns) == ("theirs", before)
