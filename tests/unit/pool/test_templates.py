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


def test_a_template_has_its_images_digest_as_name() -> None:
    assert template_name(f"sha256:{'a' * 64}") == "a" * 64


@pytest.mark.parametrize("image_id", ["", "a" * 64, "sha256:../../pods/x", f"sha256:{'a' * 64}/x"])
def test_what_could_lead_elsewhere_is_no_name(image_id: str) -> None:
    with pytest.raises(PermanentError, match="sha256"):
        template_name(image_id)
