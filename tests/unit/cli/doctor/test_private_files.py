"""Files that hold passwords are their owner's alone."""

from pathlib import Path

import pytest

from worker.cli.doctor.checks import Status
from worker.cli.doctor.examination import _env_file
from worker.local.up.secrets_kept import redis_url, write_private


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, Status.OK), (0o400, Status.OK), (0o640, Status.FAIL), (0o604, Status.FAIL)]
)
def test_the_doctor_fails_on_an_env_file_that_others_can_read(
    tmp_path: Path, mode: int, status: Status
) -> None:
    """And says how to make it right."""
    path = tmp_path / ".env"
    path.touch()
    path.chmod(mode)
    (check,) = _env_file(path)
    assert check.status is status
    assert (check.remedy or "chmod 600").startswith("chmod 600")


def test_the_doctor_says_nothing_of_an_env_file_that_is_not_there(tmp_path: Path) -> None:
    assert _env_file(tmp_path / ".env") == []


def test_the_embedded_redis_keeps_its_password_for_its_owner(tmp_path: Path) -> None:
    """Made once, also after a start that was cut off before it was written, and made private again."""
    path = tmp_path / "redis-url"
    path.touch(mode=0o644)
    url = redis_url(tmp_path, 6399)
    assert url.startswith("redis://:")
    path.chmod(0o644)
    assert redis_url(tmp_path, 6399) == url == path.read_text()
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_written_for_the_owner_has_never_another_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]
