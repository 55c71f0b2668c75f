"""The wheel of the whole project: whoever installs it has each file that the program reads."""

from pathlib import Path
from zipfile import ZipFile

from tests.release import PARTS, ROOT, build_wheel


def test_it_holds_every_file_of_the_program(tmp_path: Path) -> None:
    """Also those that are no Python, as the seccomp profile: without them it would fail only when used."""
    with ZipFile(build_wheel(tmp_path)) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    files = [
        path
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert "worker/pool/profile.json" in packed
    assert {str(path.relative_to(ROOT)): path.read_bytes() for path in files}.items() <= packed.items()
