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
