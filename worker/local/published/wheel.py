"""`make client`: the wheel `pinacle-client`, of a copy of worker/client under the name of its import."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from worker.local.images import ROOT

_SOURCE: Final = ROOT / "worker" / "client"


def build(into: Path) -> Path:
    """Build the wheel into a folder and return its path; needs no network. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(
            _SOURCE,
            project / "pinacle_client",
            ignore=shutil.ignore_patterns("__pycache__", "pyproject.toml"),
        )
        shutil.copy(_SOURCE / "pyproject.toml", project)
        uv = str(Path(sys.executable).parent / "uv")
        # uv builds with itself what wants its own version, so nothing is downloaded.
        command = [uv, "build", "-q", "--offline", "--wheel", "--out-dir", str(into.resolve()), str(project)]
        subprocess.run(command, check=True)
    return max(into.glob("pinacle_client-*.whl"), key=lambda wheel: wheel.stat().st_mtime)


if __name__ == "__main__":
    print(build(ROOT / "dist"))
