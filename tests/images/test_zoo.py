"""Every image of the zoo, taken through everything that can happen to a pod. The table is in `zoo.py`."""

from typing import Any

import pytest

from tests.images.life import Life, no_anonymous_volume
from tests.images.zoo import ANIMALS, Animal
from tests.support.stack import Stack


@pytest.fixture
def short(request: pytest.FixtureRequest) -> bool:
    """Whether a run takes only some of the images through only some of the events."""
    return not request.config.getoption("--zoo")


def row(animal: Animal) -> Any:
    undone = [pytest.mark.xfail(reason=animal.undone, strict=True)] if animal.undone else []
    return pytest.param(animal, id=animal.name, marks=undone)


@pytest.mark.parametrize("animal", map(row, ANIMALS))
def test_what_an_owner_made_is_there_whatever_happens(stack: Stack, animal: Animal, short: bool) -> None:
    """And everything else is the image's. No anonymous volume exists at any time; nothing is left."""
    life = Life(stack, animal)
    animal.version(1).make(stack.engine, life.spec["image"])
    if animal.refused:
        assert animal.refused in stack.client.error("create", animal.name, life.spec)
        assert life.pod.container_id() is None
        return
    happens = [
        life.is_stopped_and_started,
        life.loses_its_container,
        life.is_updated,
        life.loses_redis,
        life.gets_the_second_version,
        life.loses_its_container,
    ]
    with no_anonymous_volume(stack):
        life.create()
        try:
            for event in happens[2:] if short else happens:
                event()
                life.looks_right()
                life.write(event.__name__)
        finally:
            life.is_deleted()
