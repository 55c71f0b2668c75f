"""The Engine's archives of directories, as they are on the wire."""

from collections.abc import AsyncIterator, Collection, Iterator
from typing import Final

from worker.errors import CopyFailedError

_BLOCK: Final = 512
_EXTENSIONS: Final = b"xgLK"
"""Kinds of entries that describe the next one, in the formats of pax and of GNU."""
_LINK: Final = b"1"
_DIRECTORY: Final = b"5"


class Sieve:
    """Leaves what is below some paths out of an archive, and counts what it lets through."""

    def __init__(self, without: Collection[str]) -> None:
        """`without` are paths in the archive, such as `data/db`; the directory itself is left out too."""
        self._without = tuple(f"{path.rstrip('/')}/" for path in without)
        self._rest = b""
        self._before = b""
        """The entries that describe the next one, until that one has come."""
        self._path: str | None = None
        self._target: str | None = None
        self._size: int | None = None
        self._body = 0
        """Bytes of the current entry that are still to come."""
        self._lets_through = True
        self.bytes = 0
        self.problem: str | None = None
        """Why the archive cannot be sieved; whoever passes it on may turn that into another error."""

    async def through(self, archive: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in archive:
            for piece in self._feed(chunk):
                self.bytes += len(piece)
                yield piece

    def _feed(self, chunk: bytes) -> Iterator[bytes]:
        data = self._rest + chunk
        at = 0
        while True:
            if self._body:
                piece = data[at : at + self._body]
                if not piece:
                    break
                at, self._body = at + len(piece), self._body - len(piece)
                if self._lets_through:
                    yield piece
                continue
            wanted = _BLOCK + (self._ahead(data, at) if len(data) - at >= _BLOCK else 0)
            if len(data) - at < wanted:
                break
            yield from self._entry(data[at : at + wanted])
            at += wanted
        self._rest = data[at:]

    def _ahead(self, data: bytes, at: int) -> int:
        """Return how many bytes after the header are needed now: all of an entry that describes the next."""
        header = data[at : at + _BLOCK]
        return _padded(_number(header[124:136])) if header[156:157] in _EXTENSIONS else 0

    def _entry(self, entry: bytes) -> Iterator[bytes]:
        header, body = entry[:_BLOCK], entry[_BLOCK:]
        if not any(header):
            yield entry
            return
        kind = header[156:157]
        if kind in _EXTENSIONS:
            self._before += entry
            self._note(kind, body[: _number(header[124:136])])
            return
        path = self._path if self._path is not None else _name(header)
        size = self._size if self._size is not None else _number(header[124:136])
        self._body = 0 if kind == _LINK else _padded(size)
        self._meet(kind, path)
        self._lets_through = not self._is_left_out(path)
        if self._lets_through:
            target = self._target if self._target is not None else _text(header[157:257])
            if kind == _LINK and self._is_left_out(target):
                self.problem = f"{path} is another name of a file that is copied to a volume of its own"
                raise CopyFailedError(self.problem)
            yield self._before + header
        self._before, self._path, self._target, self._size = b"", None, None, None

    def _meet(self, kind: bytes, path: str) -> None:
        """Hear of an entry."""

    def _note(self, kind: bytes, body: bytes) -> None:
        if kind == b"L":
            self._path = _text(body)
        elif kind == b"K":
            self._target = _text(body)
        elif kind == b"x":
            for key, value in _records(body):
                if key == "path":
                    self._path = value
                elif key == "linkpath":
                    self._target = value
                elif key == "size":
                    self._size = int(value)

    def _is_left_out(self, path: str) -> bool:
        return f"{path.rstrip('/')}/".startswith(self._without) if self._without else False


class Listing(Sieve):
    """Lets nothing through, and notes the directories in the archive's own root."""

    def __init__(self) -> None:
        super().__init__(without=())
        self.directories: set[str] = set()
        """As absolute paths."""

    def _is_left_out(self, _path: str) -> bool:
        return True

    def _meet(self, kind: bytes, path: str) -> None:
        name = path.strip("/").removeprefix("./")
        if kind == _DIRECTORY and name not in ("", ".") and "/" not in name:
            self.directories.add(f"/{name}")


def _records(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of a pax header. Each begins with its own length, including the blank and the end."""
    while body:
        length = int(body[: body.index(b" ")])
        key, _, value = body[body.index(b" ") + 1 : length - 1].partition(b"=")
        yield key.decode(errors="surrogateescape"), value.decode(errors="surrogateescape")
        body = body[length:]


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:])
    return int(field.strip(b"\0 ") or b"0", 8)


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
