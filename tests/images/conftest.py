"""One Engine, one Redis and one worker for all images."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack, own_stack

pytest.register_assert_rewrite("tests.images.life")


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    with own_stack(scratch, settings) as stack:
        yield stack


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave all images to `make zoo`, except for the few that every run tests."""
    if config.getoption("--zoo"):
        return
    left = [item for item in items if _is_for_the_zoo_alone(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def _is_for_the_zoo_alone(item: pytest.Item) -> bool:
    animal = item.callspec.params.get("animal") if hasattr(item, "callspec") else None
    return animal is not None and not animal.in_short
