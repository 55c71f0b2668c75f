"""`.env.example` has every variable that exists, with its default and meaning, and no other."""

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from config.settings import Settings
from tests.unit.config.test_settings import shown_default

ROOT: Final = Path(__file__).parents[3]
COMPOSE: Final = (ROOT / "docker-compose.yml").read_text()
SETTINGS: Final = {
    str(field.validation_alias or f"PINACLE_{name.upper()}"): field
    for name, field in Settings.model_fields.items()
}


class Told(NamedTuple):
    """What the file says about one variable."""

    part: str
    meaning: str
    default: str
    asked_for: bool
    """Whether it has to be filled in."""


def parts() -> dict[str, str]:
    """Return the text below each heading."""
    _, *texts = re.split(r"^## (.*)\n", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    return dict(zip(texts[::2], texts[1::2], strict=True))


def told() -> dict[str, Told]:
    """Return what is said about each variable; fail if one occurs twice or has no meaning."""
    found: dict[str, Told] = {}
    for part, text in parts().items():
        lines = [line for line in text.splitlines() if line]
        for meaning, line in zip(lines[::2], lines[1::2], strict=True):
            comment, name, default = re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line).groups()  # type: ignore[union-attr]
            assert name not in found
            assert meaning.startswith("# ")
            found[name] = Told(part, meaning.removeprefix("# "), default, not comment)
    return found


def compose_variables() -> dict[str, str | None]:
    """Return the variables that docker-compose.yml takes, with their defaults; None if one is required."""
    found = re.findall(r"(?<!\$)\$\{(\w+):([-?])([^}]*)\}", COMPOSE)
    assert len(found) == len(re.findall(r"(?<!\$)\$\{", COMPOSE)), "a variable has neither default nor error"
    return {name: default if kind == "-" else None for name, kind, default in found}


def handed_on() -> set[str]:
    """Return the variables that docker-compose.yml passes on to the worker unchanged."""
    return set(re.findall(r"^    ([A-Z_]+):$", COMPOSE, re.MULTILINE))


def test_it_names_every_variable_and_no_other() -> None:
    assert set(told()) == set(SETTINGS) | set(compose_variables())


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_there_with_its_default_and_meaning(name: str) -> None:
    variable = told()[name]
    assert variable.meaning == SETTINGS[name].description
    assert not variable.asked_for
    if name != "DOCKER_CONFIG":  # its default is a home directory, which differs
        assert variable.default == shown_default(SETTINGS[name])


def test_a_variable_of_compose_is_there_with_its_default_or_required() -> None:
    found = {name: told()[name] for name in compose_variables() if name not in SETTINGS}
    assert {name: None if one.asked_for else one.default for name, one in found.items()} == {
        name: default for name, default in compose_variables().items() if name in found
    }
    assert all(one.default == "" for one in found.values() if one.asked_for)


def test_it_says_which_settings_compose_hands_on() -> None:
    """All except those that it sets itself, or whose files it would have to mount."""
    _, inside, outside = parts()
    of_part = {part: {name for name, one in told().items() if one.part == part} for part in (inside, outside)}
    assert of_part[inside] == handed_on()
    assert of_part[outside] == set(SETTINGS) - handed_on()
