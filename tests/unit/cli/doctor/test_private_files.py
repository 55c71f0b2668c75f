"""Only their owner can read files with passwords."""

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
    """And says how to fix it."""
    path = tmp_path / ".env"
    path.touch()
    path.chmod(mode)
    check, _ = _env_file(path)
    assert check.status is status
    assert (check.remedy or "chmod 600").startswith("chmod 600")


def test_the_doctor_fails_on_a_misspelt_name_in_an_env_file(tmp_path: Path) -> None:
    """Compose hands on what it knows, so that no worker sees it; a value is not repeated."""
    path = tmp_path / ".env"
    path.write_text("# PINACLE_REDIS_ULR=\nPINACLE_HOST_ID=a\nFLOWER_PORT=1\nPINACLE_POOL=/x\n")
    assert _env_file(path)[1].status is Status.OK
    path.write_text(f"{path.read_text()}export PINACLE_REDIS_ULR=canary\n")
    check = _env_file(path)[1]
    assert check.status is Status.FAIL
    assert "did you mean PINACLE_REDIS_URL?" in check.detail
    assert "canary" not in check.detail


def test_the_doctor_says_nothing_of_an_env_file_that_is_not_there(tmp_path: Path) -> None:
    assert _env_file(tmp_path / ".env") == []


def test_the_embedded_redis_keeps_its_password_for_its_owner(tmp_path: Path) -> None:
    """It is made once, even if a start was cut off before it was written, and it is made private again."""
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
