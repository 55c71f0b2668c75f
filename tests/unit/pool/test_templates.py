"""Names of templates, and what in them nobody would see."""

import pytest

from worker.errors import PermanentError
from worker.pool.templates import shadowed_directories, template_name


def test_what_lies_below_another_mount_is_shadowed() -> None:
    volumes = {"usr": "/usr", "usr-local": "/usr/local", "var": "/var", "db": "/var/lib/db", "usrx": "/usrx"}
    assert shadowed_directories(volumes) == ("usr/local", "var/lib/db")


def test_nested_twice_is_shadowed_in_both() -> None:
    volumes = {"a": "/a", "b": "/a/b", "c": "/a/b/c"}
    assert shadowed_directories(volumes) == ("a/b", "a/b/c", "b/c")


def test_a_templates_name_says_of_which_image_it_is_and_what_it_has() -> None:
    image, volumes = f"sha256:{'a' * 64}", {"usr": "/usr", "declared.app": "/app"}
    name = template_name(image, volumes)
    assert name.startswith(f"{'a' * 64}-")
    assert template_name(image, dict(reversed(volumes.items()))) == name
    others: tuple[dict[str, str], ...] = ({"usr": "/usr"}, {**volumes, "usr": "/usr2"}, {})
    assert len({name, *(template_name(image, other) for other in others)}) == 4


@pytest.mark.parametrize("image_id", ["", "a" * 64, "sha256:../../pods/x", f"sha256:{'a' * 64}/x"])
def test_what_could_lead_elsewhere_is_no_name(image_id: str) -> None:
    with pytest.raises(PermanentError, match="sha256"):
        template_name(image_id, {})
