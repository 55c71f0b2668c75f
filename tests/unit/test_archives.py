"""What is left out of an archive of a directory, in pieces of any size and in both ways of long names."""

import io
import tarfile
from collections.abc import AsyncIterator
from typing import Final

import pytest

from worker.docker.archives import Sieve
from worker.errors import CopyFailedError

LONG: Final = "n" * 60
FILES: Final = {
    "data/note": b"x",
    "data/db/file": b"y" * 1000,
    f"data/db/{LONG}/{LONG}/deep": b"z" * 600,
    "data/dbx": b"beside",
    f"data/{LONG}/{LONG}/kept": b"w" * 1025,
    "data/ä": b"",
}


def archive(form: int, links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.LNKTYPE, target
            tar.addfile(entry)
    return buffer.getvalue()


async def sieved(data: bytes, piece: int, *without: str) -> tuple[dict[str, bytes], Sieve]:
    sieve = Sieve(without)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), piece):
            yield data[at : at + piece]

    passed = b"".join([each async for each in sieve.through(pieces())])
    with tarfile.open(fileobj=io.BytesIO(passed)) as tar:
        files = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile() or entry.islnk()}
        return {name: file.read() if file is not None else b"" for name, file in files.items()}, sieve


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("piece", [1, 511, 512, 513, 10_000])
async def test_what_is_below_a_path_is_left_out_and_nothing_else(form: int, piece: int) -> None:
    data = archive(form)
    found, _ = await sieved(data, piece, "data/db")
    assert found == {name: content for name, content in FILES.items() if not name.startswith("data/db/")}
    everything, sieve = await sieved(data, piece)
    assert (everything, sieve.bytes) == (FILES, len(data))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
async def test_a_name_of_a_file_that_is_left_out_is_refused(form: int) -> None:
    """Else it would be lost: the archive has the file once."""
    with pytest.raises(CopyFailedError, match="data/z is another name"):
        await sieved(archive(form, {"data/z": "data/db/file"}), 512, "data/db")
    found, _ = await sieved(archive(form, {"data/z": "data/note"}), 512, "data/db")
    assert "data/z" in found


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
async def test_so_is_one_whose_target_has_a_long_name(form: int) -> None:
    """Also where what tells the two apart comes late in it."""
    deep = f"data/{LONG}/{LONG}"
    with pytest.raises(CopyFailedError, match="data/z is another name"):
        await sieved(archive(form, {"data/z": f"{deep}/kept"}), 512, deep)
