"""Finds what a killed run left behind by its folder, and removes it; nothing else is touched."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import psutil

from worker.local.private_engine import PrivateEngine
from worker.local.processes import end

_PREFIX: Final = "pin-bench-"
_OWNER: Final = "owner"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder that says whose it is, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (folder / _OWNER).write_text(f"{os.getpid()} {psutil.Process().create_time()}")
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def remove_leftovers() -> list[Path]:
    """Remove what ended runs have left; return their folders."""
    found = [path for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*") if not _is_owned(path)]
    for folder in found:
        end([process for process in psutil.process_iter() if _works_in(process, folder)])
        for engine in {path.parent for path in folder.rglob("daemon.json")}:
            PrivateEngine(engine).destroy()
        shutil.rmtree(folder)
    return found


def _is_owned(folder: Path) -> bool:
    """Whether the run that made the folder is still going on; its pid may be another process's by now."""
    try:
        pid, created = (folder / _OWNER).read_text().split()
        return psutil.Process(int(pid)).create_time() == float(created)
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return False


def _works_in(process: psutil.Process, folder: Path) -> bool:
    """Whether a process was started by such a run: its command or its settings name the folder."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        words = [*process.cmdline(), *process.environ().values()]
        return any(f"{folder}/" in word for word in words)
    return False
