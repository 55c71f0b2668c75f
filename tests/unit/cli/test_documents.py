"""README and docs: what they name is there."""

import re
from pathlib import Path
from typing import Final

import pytest

from config.settings import Settings
from worker.cli.command import app

ROOT: Final = Path(__file__).parents[3]
DOCUMENTS: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@by_name
def test_every_target_of_make_is_one(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|machine )make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@by_name
def test_every_variable_is_a_setting(document: Path) -> None:
    settings = {f"PINACLE_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"PINACLE_[A-Z_]+[A-Z]", document.read_text()))
    assert named
    assert named <= settings


@by_name
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@by_name
def test_every_test_that_is_named_is_one(document: Path) -> None:
    for name in re.findall(r"`([a-z/_]+/test_[a-z_0-9]+\.py)`", document.read_text()):
        assert (ROOT / "tests" / name.removeprefix("tests/")).exists(), name


@by_name
def test_every_command_of_pinacle_is_one(document: Path) -> None:
    """As `pinacle VERB` or `pinacle GROUP VERB`."""
    commands = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    for group in app.registered_groups:
        verbs = group.typer_instance.registered_commands if group.typer_instance else []
        commands |= {
            f"{group.name} {verb.name or (verb.callback and verb.callback.__name__)}" for verb in verbs
        }
    named = re.findall(
        r"(?:^|worker |`)pinacle ((?:pods |hosts )?[a-z][a-z-]+)", document.read_text(), re.MULTILINE
    )
    assert named
    assert set(named) <= commands
