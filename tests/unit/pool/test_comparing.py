"""What is read of a comparison; the comparison itself is tried on a real btrfs."""

from typing import Any

import pytest

from worker.errors import ForeignObjectError
from worker.pods.observation import ImageDirectory
from worker.pool.comparing import unchanged_volumes


class Printing:
    """A pool on which each command prints this."""

    def __init__(self, printed: str) -> None:
        self.printed = printed
        self.arguments: tuple[Any, ...] = ()

    async def run_reading(self, _what: str, _script: str, *arguments: Any, deadline_s: float) -> str:
        assert deadline_s == 7
        self.arguments = arguments
        return self.printed


async def compare(pool: Any) -> frozenset[str]:
    directories = {
        "app": ImageDirectory(name="app.two", path="/app", hidden=("run", "a b")),
        "opt": ImageDirectory(name="opt", path="/opt"),
    }
    return await unchanged_volumes(pool, "a", "mine", "template", directories, deadline_s=7)


async def test_what_is_printed_is_unchanged() -> None:
    pool = Printing("app\n")
    assert await compare(pool) == {"app"}
    asked = ("app", "app.two", "./run\n./a b\n", "opt", "opt", "")
    assert pool.arguments == ("a", "mine", "template", *asked)
    assert await compare(Printing("")) == frozenset()


async def test_of_another_subvolume_nothing_is_unchanged() -> None:
    with pytest.raises(ForeignObjectError, match="its own subvolume mine"):
        await compare(Printing("/other\n"))
