"""Names of templates, and what in them nobody would see."""

from typing import Any, cast

import pytest

from worker.errors import PermanentError
from worker.pool.templates import Templates, shadowed_directories, template_name


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


class Commands:
    """A pool that notes what it is asked to do."""

    def __init__(self) -> None:
        self.run_with: list[tuple[str, ...]] = []

    async def run(self, _what: str, _script: str, *arguments: str) -> str:
        self.run_with.append(arguments)
        return ""


NAME = f"{'a' * 64}-{'b' * 16}"


@pytest.mark.parametrize(
    "name", ["", ".", "own", "../pods/a", f"{NAME}/x", f"x{NAME}", f"{NAME}-x", "a" * 64]
)
async def test_what_has_no_name_of_ours_is_not_removed(name: str) -> None:
    pool = Commands()
    await Templates(cast("Any", pool), cast("Any", None)).remove(name)
    assert pool.run_with == []


async def test_a_template_and_what_an_attempt_left_are_removed() -> None:
    pool = Commands()
    for name in (NAME, f".{NAME}-{'c' * 32}"):
        await Templates(cast("Any", pool), cast("Any", None)).remove(name)
    assert pool.run_with == [(NAME,), (f".{NAME}-{'c' * 32}",)]
