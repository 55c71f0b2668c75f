"""A pool in a file, mounted where a private Engine sees it: for a demonstration and for tests."""

import os
import subprocess
from pathlib import Path
from typing import Final

from worker.local.packages import find
from worker.local.private_engine import PrivateEngine

SIMPLE_QUOTAS: Final = Path("/sys/fs/btrfs/features/simple_quota")
"""Exists if this machine's kernel can count what pods use."""


class PoolFile:
    """A file with btrfs, and the place where an Engine's host mounts it."""

    def __init__(self, engine: PrivateEngine, image: str, name: str, *, size_bytes: int = 2**30) -> None:
        # Whatever Debian the Engine is from, it sees its own folder.
        folder = engine.root / "pools" / name
        folder.mkdir(parents=True)
        self._engine = engine
        self.image = folder / "pool.img"
        self.place = folder / "pool"
        self.place.mkdir()
        with self.image.open("wb") as file:
            os.truncate(file.fileno(), size_bytes)
        make = ("mkfs.btrfs", "--quiet", "--force", "/folder/pool.img")
        engine.docker("run", "--rm", "--network", "none", "-v", f"{folder}:/folder", image, *make)

    @property
    def seen(self) -> Path:
        """The place as the Engine sees it, whose mounts are not always this machine's."""
        return Path(f"/proc/{self._pid()}/root{self.place}")

    def mount(self, place: Path | None = None) -> None:
        """Mount it, perhaps where another one belongs."""
        self._run("mount", "-o", "loop,nodiscard", str(self.image), str(place or self.place))

    def make_read_only(self) -> None:
        """Do what the kernel does when a disk fails."""
        self._run("mount", "-o", "remount,ro", str(self.place))

    def make_writable(self) -> None:
        """Undo `make_read_only`."""
        self._run("mount", "-o", "remount,rw", str(self.place))

    def unmount(self) -> None:
        """Unmount it if it is mounted, even if it is in use."""
        if self.seen.is_mount():
            self._run("umount", "--lazy", str(self.place))

    def _run(self, *command: str) -> None:
        subprocess.run(
            [find("nsenter") or "nsenter", f"--mount=/proc/{self._pid()}/ns/mnt", *command], check=True
        )

    def _pid(self) -> str:
        return (self._engine.root / "dockerd.pid").read_text()
