"""The wheel of the whole project: whoever installs it has each file that the program reads."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from worker.local.images import ROOT


def test_it_holds_every_file_of_the_program(tmp_path: Path) -> None:
    """Also those that are no Python, as the seccomp profile: without them it would fail only when used."""
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run(
        [uv, "build", "-q", "--offline", "--wheel", "--out-dir", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    files = [
        path
        for folder in ("config", "tasks", "worker")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert "worker/pool/profile.json" in packed
    assert {str(path.relative_to(ROOT)): path.read_bytes() for path in files}.items() <= packed.items()
