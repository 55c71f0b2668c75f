"""Where a path leads in an image with links, and where links do not count."""

from typing import Final

import pytest

from worker.pods.shape import ImageShape, Kind, Look

SHAPE: Final = ImageShape(
    looks={
        "/home": Look(kind=Kind.LINK, target="/mnt"),
        "/mnt": Look(kind=Kind.DIRECTORY),
        "/mnt/x": Look(kind=Kind.LINK, target="/deep"),
        "/deep": Look(kind=Kind.DIRECTORY),
    }
)


@pytest.mark.parametrize(
    ("held", "place"),
    [
        ((), "/deep"),
        (("/other",), "/deep"),
        (("/hom", "/mn"), "/deep"),
        (("/home",), "/mnt/x"),
        (("/mnt",), "/mnt/x"),
        (("/other", "/mnt"), "/mnt/x"),
    ],
)
def test_links_count_but_below_what_the_pod_has_of_its_own(held: tuple[str, ...], place: str) -> None:
    assert SHAPE.place("/home/x", held) == place


def test_a_space_is_a_part_of_a_name() -> None:
    assert SHAPE.place("/data /x ") == "/data /x "
