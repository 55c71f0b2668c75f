"""What `make` says on a machine that is not as it should be: one line, before anything is made."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from tests.support.worker import ROOT
from worker.local.private_engine import PrivateEngine

NOBODY: Final = 65534
OLD_PYTHON: Final = """#!{python}
import sys
sys.version_info, sys.version = (3, 9, 2, "final", 0), "3.9.2 (default)"
exec(sys.argv[2])
"""
AS_NOBODY: Final = """
import importlib, os, pathlib, sys
main = importlib.import_module(sys.argv.pop(1)).main
importlib.import_module("worker.local.redis").server_command(pathlib.Path("/"), 1)
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
main()
"""
"""What it needs is loaded first, as another user may not be able to read the source."""


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder of an ordinary user, who can reach it: pytest's own are only for theirs."""
    with TemporaryDirectory(prefix="pin-nobody-") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def test_an_old_python_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    """As root too: no package of the distribution would make it new."""
    python, venv = tmp_path / "python3", tmp_path / "venv"
    python.write_text(OLD_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    command = ["make", "--no-print-directory", "up", f"PYTHON={python}", f"VENV={venv}"]
    # A make within a make names itself otherwise.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.returncode != 0
    assert done.stdout == ""
    told, of_make = done.stderr.splitlines()
    assert f"{python} is Python 3.9.2, and 3.11 or newer is needed" in told
    assert "make PYTHON=" in told
    assert of_make.startswith("make: ***")
    assert not venv.exists()


def test_a_language_that_is_not_installed_is_no_matter() -> None:
    """Python would read the paths of a project as ASCII then, and not begin if they have other letters."""
    probe = 'probe: ; @$(BIN)/python -c "import locale; print(locale.getencoding())"'
    done = subprocess.run(
        ["make", "--no-print-directory", f"--eval={probe}", "probe"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "xx_XX.UTF-8"},
    )
    assert done.stdout == "UTF-8\n"


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("worker.local.demo", "a private Docker Engine needs root: run this with sudo, or as root"),
        ("worker.local.up.__main__", "a private one needs root: start Docker, join the group docker"),
    ],
    ids=["demo", "up"],
)
def test_an_ordinary_user_is_told_what_is_missing(nobodys: Path, module: str, told: str) -> None:
    """And no Engine was begun."""
    done = _as_nobody(module, nobodys)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("error: ")
    assert told in line
    assert [path for path in nobodys.rglob("*") if path.name in {"e", "engine"}] == []
    assert not Path("/run/netns", PrivateEngine(nobodys / "engine").namespace).exists()


def test_a_folder_of_somebody_else_is_named() -> None:
    done = _as_nobody("worker.local.up.__main__", Path("/proc/1"))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "this user may not write /proc/1" in line
    assert "set PINACLE_FOLDER to a folder of your own" in line


def _as_nobody(module: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    own = dict.fromkeys(("PINACLE_FOLDER", "HOME", "TMPDIR"), str(folder))
    own["DOCKER_HOST"] = f"unix://{folder}/none.sock"
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY.format(nobody=NOBODY), module],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **own},
    )
