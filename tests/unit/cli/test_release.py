"""Releases: the version is the same wherever it is written."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.release import changelog_faults

ROOT: Final = Path(__file__).parents[3]
VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RELEASED: Final = f"# Changelog\n\n## Unreleased\n\n## {VERSION} - 2026-11-26\n\n### Added\n- A.\n"
FAULTS: Final = {
    "nothing stands in the way": (RELEASED, []),
    "something is not released yet": (RELEASED.replace("Unreleased\n", "Unreleased\n- B.\n"), ["Unreleased"]),
    "another version": (RELEASED.replace(VERSION, "9.9.9"), ["newest release"]),
    "no date": (RELEASED.replace(" - 2026-11-26", ""), ["newest release"]),
    "no release at all": ("# Changelog\n\n## Unreleased\n", ["newest release"]),
}


@pytest.mark.parametrize("situation", FAULTS)
def test_what_the_changelog_lacks_for_a_release_is_said(situation: str) -> None:
    text, wanted = FAULTS[situation]
    found = list(changelog_faults(text, VERSION))
    assert len(found) == len(wanted)
    assert all(word in fault for word, fault in zip(wanted, found, strict=True))


def test_the_command_shows_its_version() -> None:
    command = [str(Path(sys.executable).with_name("pinacle")), "--version"]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"pinacle {VERSION}\n"
    )


def test_the_changelog_has_a_release_of_this_version() -> None:
    assert re.search(rf"^## {re.escape(VERSION)} - ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
