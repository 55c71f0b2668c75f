"""Each failure of a command becomes the error that says what to do."""

import pytest

from worker.errors import ErrorKind
from worker.interfaces import Ended
from worker.pool.errors import (
    OTHER_FILESYSTEM,
    PoolCommandError,
    PoolFullError,
    PoolMissingError,
    PoolReadOnlyError,
    PoolUnfitError,
    failure,
)


@pytest.mark.parametrize(
    ("code", "said", "error", "kind"),
    [
        (OTHER_FILESYSTEM, "", PoolMissingError, ErrorKind.STORAGE_MISSING),
        (1, "touch: x: Read-only file system", PoolReadOnlyError, ErrorKind.STORAGE_MISSING),
        (1, "ERROR: Disk quota exceeded", PoolFullError, ErrorKind.HOST_FULL),
        (1, "dd: No space left on device", PoolFullError, ErrorKind.HOST_FULL),
        (1, "ERROR: Operation not permitted", PoolUnfitError, ErrorKind.REFUSED),
        (1, "btrfs quota enable: unrecognized option '--simple'", PoolUnfitError, ErrorKind.REFUSED),
        (1, "ERROR: something new", PoolCommandError, ErrorKind.TRY_AGAIN),
    ],
)
def test_a_failure_is_named(code: int, said: str, error: type[Exception], kind: ErrorKind) -> None:
    ended = Ended(exit_code=code, timed_out=False, stdout=b"", stderr=said.encode())
    told = failure("pool: test", "/srv/pool", ended)
    assert type(told) is error
    assert told.kind is kind
    assert str(told).startswith("pool: test: ")


def test_a_long_output_is_cut() -> None:
    ended = Ended(exit_code=1, timed_out=False, stdout=b"", stderr=b"x" * 10_000)
    assert len(str(failure("pool: test", "/srv/pool", ended))) < 1000
