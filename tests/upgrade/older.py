"""The worker of an earlier commit, with the dependencies that it was locked to."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final, Self

from tests.support.worker import ROOT, WorkerProcess

FIRST: Final = "5a34c11"
"""What a worker of this commit has written has to stay readable for ever."""


class Older:
    """The code of one commit in a folder, and a virtual environment beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ".venv" / "bin" / "python"

    @classmethod
    def unpack(cls, commit: str, folder: Path) -> Self | None:
        """Make it from the repository's history; None if there is no history, as in a tarball."""
        archive = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit], check=False, capture_output=True
        )
        if archive.returncode != 0:
            return None
        folder.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        older, uv = cls(folder), str(Path(sys.executable).with_name("uv"))
        subprocess.run(
            [uv, "venv", "-q", "--python", sys.executable, str(older.python.parents[1])], check=True
        )
        locked = ["--require-hashes", "-r", str(folder / "requirements.lock")]
        subprocess.run([uv, "pip", "install", "-q", "--python", str(older.python), *locked], check=True)
        return older

    def worker(self, folder: Path, settings: dict[str, str], name: str = "older") -> WorkerProcess:
        return WorkerProcess(folder, settings, name, root=self.folder, python=str(self.python))

    def run(self, program: str) -> str:
        """Run a Python program with this code; return what it prints."""
        return subprocess.run(
            [self.python, "-c", program], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout
