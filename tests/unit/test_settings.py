"""The settings: consistent, and told in the README as they are."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def documented() -> dict[str, tuple[str, str]]:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| (.*) \|$", README.read_text(), re.MULTILINE)
    return {name: (default, text) for name, default, text in rows}


def test_the_readme_tells_every_setting_as_it_is() -> None:
    """Name, default and meaning; and none that is not there."""
    told = documented()
    assert len(told) == len(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default, text = told[str(field.validation_alias or f"PINACLE_{name.upper()}")]
        assert text == field.description
        value = field.default
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if name != "docker_config":  # its default is a home directory, which differs
            assert default == (
                "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            )


def test_a_lease_shorter_than_a_step_is_refused() -> None:
    """No step may outlive its lease."""
    with pytest.raises(ValueError, match=r"PINACLE_LEASE_TTL_S .* must be greater"):
        Settings(lease_ttl_s=5, step_deadline_s=5)


def test_ports_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="PINACLE_PORT_RANGE"):
        Settings(port_range="30000-20000")


def test_a_message_becomes_visible_again_later_than_any_task_takes() -> None:
    """Accepting and waiting take a task's wait each, and then comes what is under way."""
    settings = Settings()
    assert settings.visibility_timeout_s > 2 * settings.task_wait_s + settings.step_deadline_s
