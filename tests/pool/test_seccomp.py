"""What root in a pod may do to btrfs, with the profile for pods on a pool."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pools import Parts
from worker.local.pool_file import PoolFile
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.pool.seccomp import profile


@pytest.fixture
def home(make: Callable[..., Parts], pool_file: PoolFile) -> Path:
    """A directory of a pod, on the pool."""
    made = pool_file.seen / "home"
    made.mkdir()
    return made


def run(engine: PrivateEngine, pool: PoolFile, image: str, script: str, *, profile_: Path | None) -> str:
    options = () if profile_ is None else ("--security-opt", f"seccomp={profile_}")
    bind = f"{pool.place}/home:/home"
    return engine.docker("run", "--rm", "--network", "none", *options, "-v", bind, image, "sh", "-ec", script)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    made = tmp_path / "profile.json"
    made.write_text(profile())
    return made


def test_a_subvolume_cannot_be_made(
    engine: PrivateEngine, pool_file: PoolFile, helper_image: str, home: Path, written: Path
) -> None:
    """With Docker's own profile it can: that is what the other one is for."""
    make = "btrfs subvolume create /home/one"
    with pytest.raises(EngineFailedError, match="Operation not permitted"):
        run(engine, pool_file, helper_image, make, profile_=written)
    assert list(home.iterdir()) == []
    run(engine, pool_file, helper_image, make, profile_=None)
    with pytest.raises(EngineFailedError, match="Operation not permitted"):
        run(engine, pool_file, helper_image, "btrfs subvolume snapshot /home/one /home/two", profile_=written)
    with pytest.raises(EngineFailedError):
        run(engine, pool_file, helper_image, "btrfs subvolume delete /home/one", profile_=written)
    assert {path.name for path in home.iterdir()} == {"one"}


def test_reflinks_and_other_requests_work(
    engine: PrivateEngine, pool_file: PoolFile, helper_image: str, home: Path, written: Path
) -> None:
    script = """
    head -c 1000000 /dev/urandom > /home/a
    cp --reflink=always /home/a /home/b
    cmp /home/a /home/b
    stty < /dev/null 2>&1 | head -1
    """
    said = run(engine, pool_file, helper_image, script, profile_=written)
    assert "Inappropriate ioctl" in said, "the terminal's own requests reach the kernel"
    assert (home / "b").stat().st_size == 1_000_000
