"""README and docs: what they name exists."""

import re
from pathlib import Path
from typing import Final

import pytest

from config.settings import Settings, StackSettings
from worker.cli.command import app

ROOT: Final = Path(__file__).parents[3]
README: Final = ROOT / "README.md"
PAGES: Final = tuple(sorted((ROOT / "docs").rglob("*.md")))
DOCUMENTS: Final = (README, ROOT / "CONTRIBUTING.md", *PAGES)
LONGEST_README: Final = 8_000
"""Bytes: what a newcomer reads to the end."""
by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


@by_name
def test_every_target_of_make_is_one(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|machine )make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


@by_name
def test_every_variable_is_a_setting(document: Path) -> None:
    settings = {f"PINACLE_{name.upper()}" for name in Settings.model_fields}
    settings |= {str(field.validation_alias) for field in StackSettings.model_fields.values()}
    named = set(re.findall(r"PINACLE_[A-Z_]+[A-Z]", document.read_text()))
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
    assert set(named) <= commands


def test_what_is_looked_for_in_documents_is_found() -> None:
    """The checks above really find something to check."""
    everything = "".join(document.read_text() for document in DOCUMENTS)
    for seen in (
        r"PINACLE_[A-Z_]+[A-Z]",
        r"^pinacle pods [a-z]+",
        r"^make [a-z-]+",
        r"`[a-z/_]+/test_\w+\.py`",
    ):
        assert len(re.findall(seen, everything, re.MULTILINE)) > 1, seen


def test_the_readme_is_short() -> None:
    assert len(README.read_bytes()) <= LONGEST_README


def test_each_page_is_two_clicks_from_the_readme() -> None:
    once = _linked(README)
    assert {page.resolve() for page in PAGES} <= once.union(*map(_linked, once))


def _linked(document: Path) -> set[Path]:
    targets = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", document.read_text())
    return {(document.parent / target).resolve() for target in targets}


@by_name
def test_every_heading_that_is_linked_is_one(document: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
        page = document.parent / target if target else document
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        assert anchor in {_anchor(heading) for heading in headings}, f"{target}#{anchor}"


def _anchor(heading: str) -> str:
    """Return the anchor that forges make of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@by_name
def test_every_path_of_the_code_that_is_named_is_there(document: Path) -> None:
    for path in re.findall(r"`((?:worker|tasks|config|tests)/[\w/.-]+)`", document.read_text()):
        assert (ROOT / path).exists(), path
