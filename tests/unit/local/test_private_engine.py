"""Where a private Engine has its sockets: the kernel takes no long paths for them."""

from pathlib import Path

import pytest

from worker.local.private_engine import PrivateEngine


@pytest.mark.parametrize(
    ("root", "beside"),
    [
        (Path("/srv") / ("x" * 55), True),
        (Path("/srv") / ("x" * 56), False),
        (Path("/srv") / ("ü" * 27), True),
        (Path("/srv") / ("ü" * 28), False),
        (Path("/srv") / ("語" * 40), False),
    ],
    ids=lambda value: f"{len(str(value))} letters" if isinstance(value, Path) else "",
)
def test_a_folder_with_a_long_path_has_its_sockets_elsewhere(root: Path, beside: bool) -> None:
    """It is counted in bytes, of which letters of many languages have several."""
    engine = PrivateEngine(root)
    assert (engine.socket.parent == root) is beside
    assert beside or len(str(engine.socket)) < 60
