"""The units of systemd for installations without Docker Compose: right, and like its services."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from worker.local.packages import require

ROOT: Final = Path(__file__).parents[3]
UNITS: Final = sorted((ROOT / "docs" / "examples" / "systemd").glob("*.service"))
PYTHON: Final = "/opt/pinacle/.venv/bin/python"
CONFINED: Final = ("pinacle-beat.service", "pinacle-worker.service")
MOST_EXPOSED: Final = 40
"""What `systemd-analyze security` gives them at most, in tenths; it calls that OK."""
COMPOSE: Final = (ROOT / "docker-compose.yml").read_text()
PAGE: Final = (ROOT / "docs" / "moving.md").read_text()


def analyze(*words: str | Path) -> str:
    """Return what systemd says about it; fail if it refuses it."""
    require("systemd-analyze")
    done = subprocess.run(["systemd-analyze", *words], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def placed(unit: Path, folder: Path, text: str | None = None) -> Path:
    """Return a copy whose programs are those of this machine."""
    copy = folder / unit.name
    copy.write_text((text or unit.read_text()).replace(PYTHON, sys.executable))
    return copy


def value(unit: Path, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_finds_nothing_wrong_with_a_unit(unit: Path, tmp_path: Path) -> None:
    assert analyze("verify", "--recursive-errors=no", placed(unit, tmp_path)) == ""


def test_systemd_would_say_what_is_wrong(tmp_path: Path) -> None:
    """A key that it does not know, which it would ignore."""
    text = UNITS[0].read_text().replace("Restart=", "Restrat=")
    with pytest.raises(AssertionError, match="Restrat"):
        analyze("verify", "--recursive-errors=no", placed(UNITS[0], tmp_path, text))


@pytest.mark.parametrize("name", CONFINED)
def test_a_unit_has_few_rights(name: str, tmp_path: Path) -> None:
    (unit,) = [unit for unit in UNITS if unit.name == name]
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", placed(unit, tmp_path))


@pytest.mark.parametrize(("name", "module"), [("worker", "worker"), ("beat", "worker.beat")])
def test_a_unit_runs_what_its_service_of_compose_runs(name: str, module: str) -> None:
    (unit,) = [unit for unit in UNITS if unit.name == f"pinacle-{name}.service"]
    assert value(unit, "ExecStart").split()[:3] == [PYTHON, "-m", module]
    assert f'command: ["python", "-m", "{module}"' in COMPOSE
    assert value(unit, "NoNewPrivileges") == "yes"


def test_a_worker_has_the_time_to_end_and_the_memory_that_compose_gives_it() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "pinacle-worker.service"]
    assert f"stop_grace_period: {value(unit, 'TimeoutStopSec')}s" in COMPOSE
    assert f"WORKER_MEMORY:-{value(unit, 'MemoryMax').lower()}" in COMPOSE


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_page_for_operators_says_where_all_of_it_comes_from(unit: Path) -> None:
    for path in (unit.name, "/etc/pinacle/env", PYTHON.removesuffix("/bin/python")):
        assert path in PAGE, path
