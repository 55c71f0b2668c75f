"""`python -m worker.health`: whether the workers of this user on this machine are healthy.

Each worker has a file for its event loop, and while it is connected another one for its consumer of messages.
Loop and consumer touch their files. An outage of Redis or of the Engine is no reason to restart a worker.
"""

import argparse
import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final

OLDEST_S: Final = 30.0
"""Age at which the beat of an event loop counts as missed."""
CONSUMER_FACTOR: Final = 2.0
"""How much longer a consumer may take, as it sometimes waits for Redis."""
_CONSUMER: Final = ".consumer"
_UNNAMED: Final = ".new-"
_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafeFolderError(Exception):
    """Other users may write to the folder, and could make a dead worker look alive."""


def usual_folder() -> Path:
    """Return the folder in which the workers of this user keep their files."""
    return Path(tempfile.gettempdir()) / f"pinacle-{os.getuid()}"


def check_folder(folder: Path) -> None:
    """Raise UnsafeFolderError unless only this user has access, FileNotFoundError if there is no folder."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnsafeFolderError(
            f"{folder} has to be a folder of user {os.getuid()} with mode 700: remove what is there"
        )


class Heart:
    """The signs of life of one worker process, under a lock that ends with the process in any case.

    Raises UnsafeFolderError and OSError if its files cannot be kept. Its times are those of the monotonic
    clock, so setting the machine's clock does not matter.
    """

    def __init__(self, host: str, folder: Path | None = None) -> None:
        self._folder = folder or usual_folder()
        self._path = self._folder / f"{host}.{os.getpid()}"
        self._consumer: int | None = None
        self._consumer_beat_at = self._beat_at = monotonic()
        self._file = self._opened()

    def _opened(self) -> int:
        """Return a new file, which gets its name only once it is locked: an unlocked file counts as dead."""
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        check_folder(self._folder)
        _remove_dead(self._folder)
        file, name = tempfile.mkstemp(dir=self._folder, prefix=_UNNAMED)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _touch(file)
        Path(name).replace(self._path)
        return file

    def beat(self) -> None:
        """Note that the event loop runs."""
        if os.fstat(self._file).st_nlink == 0:
            # Somebody cleared that folder, as some systems do with old files.
            os.close(self._file)
            self._file = self._opened()
        _touch(self._file)
        self._beat_at = monotonic()

    def consumer_begins(self) -> None:
        """Note that messages are taken from now on; if the beats then stop, that is a fault."""
        if self._consumer is None:
            path = self._path.with_name(self._path.name + _CONSUMER)
            self._consumer = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600)
        self.consumer_beats()

    def consumer_beats(self) -> None:
        """Note that the consumer's loop runs."""
        if self._consumer is not None:
            _touch(self._consumer)
            self._consumer_beat_at = monotonic()

    def ages(self) -> dict[str, float]:
        """Return seconds since each part last beat; without the consumer while it is not connected."""
        now = monotonic()
        consumer = {} if self._consumer is None else {"consumer": now - self._consumer_beat_at}
        return {"event_loop": now - self._beat_at, **consumer}

    def consumer_ends(self) -> None:
        """Note that the consumer lost its connection or ends as it should. May be called twice."""
        if self._consumer is None:
            return
        self._path.with_name(self._path.name + _CONSUMER).unlink(missing_ok=True)
        os.close(self._consumer)
        self._consumer = None

    def close(self) -> None:
        """Note that the worker ends as it should, so that its beats are not missed."""
        self.consumer_ends()
        self._path.unlink(missing_ok=True)
        os.close(self._file)


def problems(folder: Path, *, host: str | None = None, oldest_s: float = OLDEST_S) -> list[str]:
    """Return what is wrong with the workers that are alive, or that none is; of `host` only, if given.

    Raises UnsafeFolderError.
    """
    try:
        check_folder(folder)
    except FileNotFoundError:
        return [f"no worker has begun: {folder} is not there"]
    hearts = [path for path in _hearts(folder) if host is None or path.name.rpartition(".")[0] == host]
    living = [path for path in hearts if _is_alive(path)]
    if not living:
        return [f"no worker {'' if host is None else f'of host {host} '}is alive, by {folder}"]
    return [problem for path in living for problem in _problems_of(path, oldest_s)]


def _problems_of(path: Path, oldest_s: float) -> Iterator[str]:
    consumer = path.with_name(path.name + _CONSUMER)
    for what, file, limit_s in (
        ("event loop", path, oldest_s),
        ("consumer of messages", consumer, oldest_s * CONSUMER_FACTOR),
    ):
        with suppress(FileNotFoundError), _opened(file) as opened:
            age_s = monotonic() - os.fstat(opened).st_mtime
            if age_s > limit_s:
                yield f"worker {path.name}: its {what} hangs, no beat for {age_s:.0f} s"


def _hearts(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if not path.name.startswith(_UNNAMED))
    return sorted(path for path in found if not path.name.endswith(_CONSUMER))


def _is_alive(path: Path) -> bool:
    """Whether a process holds the lock of a file. A link is not followed and counts as dead."""
    if path.is_symlink():
        return False
    with suppress(FileNotFoundError), _opened(path) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _remove_dead(folder: Path) -> None:
    """Remove the files of workers that were killed."""
    for path in _hearts(folder):
        if not _is_alive(path):
            path.unlink(missing_ok=True)
            path.with_name(path.name + _CONSUMER).unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        yield opened
    finally:
        os.close(opened)


def _touch(file: int) -> None:
    now = monotonic()
    os.utime(file, (now, now))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m worker.health")
    parser.add_argument("--host", help="the workers of this host alone, by its name")
    parser.add_argument("--oldest-s", type=float, default=OLDEST_S, help="age of a beat that is missed")
    given = parser.parse_args()
    try:
        found = problems(usual_folder(), host=given.host, oldest_s=given.oldest_s)
    except (UnsafeFolderError, OSError) as error:
        found = [str(error)]
    if found:
        sys.exit("; ".join(found))


if __name__ == "__main__":
    main()
