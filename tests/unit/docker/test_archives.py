"""What is left out of a directory's archive, in pieces of any size and with both forms of long names."""

import io
import tarfile
from collections.abc import AsyncIterator
from typing import Final

import pytest

from worker.docker.archives import Listing, Sieve, _number
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


def archive(
    form: int,
    links: dict[str, str] | None = None,
    *,
    content: dict[str, bytes] = FILES,
    link_size: int = 0,
    sized: bool = False,
) -> bytes:
    """Return an archive; with `sized`, each entry also has its size in a record."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, text in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            if sized:
                entry.pax_headers = {"size": str(len(text))}
            tar.addfile(entry, io.BytesIO(text))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = tarfile.LNKTYPE, target, link_size
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
    """Otherwise it would be lost: the archive has the file once."""
    with pytest.raises(CopyFailedError, match="data/z is another name"):
        await sieved(archive(form, {"data/z": "data/db/file"}), 512, "data/db")
    found, _ = await sieved(archive(form, {"data/z": "data/note"}), 512, "data/db")
    assert "data/z" in found


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
async def test_so_is_one_whose_target_has_a_long_name(form: int) -> None:
    """Even if the names differ only near their end."""
    deep = f"data/{LONG}/{LONG}"
    with pytest.raises(CopyFailedError, match="data/z is another name"):
        await sieved(archive(form, {"data/z": f"{deep}/kept"}), 512, deep)


@pytest.mark.parametrize(
    "form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT], ids=["pax", "gnu", "ustar"]
)
async def test_a_long_path_is_left_out_by_its_whole_name(form: int) -> None:
    """Each form has another place for what does not fit into a header."""
    content = {**FILES, f"data/{LONG}/{LONG}x": b"beside"}
    content.pop(f"data/db/{LONG}/{LONG}/deep")
    found, _ = await sieved(archive(form, content=content), 512, f"data/{LONG}/{LONG}")
    assert found.keys() == content.keys() - {f"data/{LONG}/{LONG}/kept"}


async def test_a_size_that_a_link_has_is_no_content() -> None:
    """In POSIX archives a hard link may have the size of its file, but it has no content."""
    link = archive(tarfile.USTAR_FORMAT, {"data/z": "data/note"}, content={"data/note": b"x"}, link_size=1000)
    entries = 3 * 512
    data = link[:entries] + archive(tarfile.USTAR_FORMAT, content={"data/db/no": b"n", "data/yes": b"y"})
    assert (await sieved(data, 512, "data/db"))[0].keys() == {"data/note", "data/z", "data/yes"}


async def test_a_size_that_does_not_fit_into_a_header_counts() -> None:
    """It is in a record of its own, or in another number format."""
    content = {"data/db/x": b"y" * 600, "data/z": b"z"}
    data = bytearray(archive(tarfile.PAX_FORMAT, content=content, sized=True))
    header = data.index(b"data/db/x\0")
    data[header + 124 : header + 136] = b"00000000000\0"
    data[header + 148 : header + 156] = b" " * 8
    data[header + 148 : header + 156] = b"%06o\0 " % sum(data[header : header + 512])
    assert (await sieved(bytes(data), 512, "data/db"))[0] == {"data/z": b"z"}
    assert _number(b"\x80" + (2**40).to_bytes(11)) == 2**40


@pytest.mark.parametrize("prefix", ["", "./", "/"], ids=["bare", "dot", "slash"])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
async def test_the_directories_of_a_root_are_listed_and_neither_links_nor_files(
    form: int, prefix: str
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, kind in (
            ("", tarfile.DIRTYPE),
            ("app/", tarfile.DIRTYPE),
            ("app/inner/", tarfile.DIRTYPE),
            (f"{LONG}{LONG}", tarfile.DIRTYPE),
            ("bin", tarfile.SYMTYPE),
            ("file", tarfile.REGTYPE),
        ):
            entry = tarfile.TarInfo(f"{prefix}{name}" or ".")
            entry.type, entry.linkname = kind, "usr/bin" if kind == tarfile.SYMTYPE else ""
            entry.size = 700 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    listing = Listing()

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(buffer.getvalue()), 300):
            yield buffer.getvalue()[at : at + 300]

    assert b"".join([each async for each in listing.through(pieces())]).strip(b"\0") == b""
    assert listing.directories == {"/app", f"/{LONG}{LONG}"}
