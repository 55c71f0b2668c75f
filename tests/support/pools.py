"""Pools for tests: files with btrfs, mounted where an Engine of a test sees them."""

import os
import subprocess
from pathlib import Path
from typing import Final

from worker.docker.calls import EngineCalls
from worker.docker.directories.under_way import UnderWay
from worker.docker.engine import DockerEngine
from worker.docker.helper.container import Helper
from worker.docker.helper.filling import Filling
from worker.docker.images.images import Images
from worker.docker.inside.streams import ContainerStreams
from worker.docker.scratch import Scratch
from worker.local.private_engine import PrivateEngine
from worker.pool.pool import Pool

INSTALLATION: Final = "pooltest"
SIMPLE_QUOTAS: Final = Path("/sys/fs/btrfs/features/simple_quota")
"""Exists if this machine's kernel can count what pods use."""


class PoolFile:
    """A file with btrfs, and the place where an Engine's host mounts it."""

    def __init__(self, engine: PrivateEngine, image: str, name: str, *, size_bytes: int = 2**30) -> None:
        # Whatever Debian the Engine is from, it sees its own folder.
        folder = engine.root / "pools" / name
        folder.mkdir(parents=True)
        self._engine = engine
        self._file = folder / "pool.img"
        self.place = folder / "pool"
        self.place.mkdir()
        with self._file.open("wb") as file:
            os.truncate(file.fileno(), size_bytes)
        make = ("mkfs.btrfs", "--quiet", "--force", "/folder/pool.img")
        engine.docker("run", "--rm", "--network", "none", "-v", f"{folder}:/folder", image, *make)

    @property
    def seen(self) -> Path:
        """The place as the Engine sees it, whose mounts are not always this machine's."""
        return Path(f"/proc/{self._pid()}/root{self.place}")

    def mount(self) -> None:
        self._run("mount", "-o", "loop,nodiscard", str(self._file), str(self.place))

    def make_read_only(self) -> None:
        """Do what the kernel does when a disk fails."""
        self._run("mount", "-o", "remount,ro", str(self.place))

    def unmount(self) -> None:
        """Unmount it if it is mounted, even if it is in use."""
        if self.seen.is_mount():
            self._run("umount", "--lazy", str(self.place))

    def _run(self, *command: str) -> None:
        subprocess.run(["nsenter", f"--mount=/proc/{self._pid()}/ns/mnt", *command], check=True)

    def _pid(self) -> str:
        return (self._engine.root / "dockerd.pid").read_text()


class Parts:
    """What a pool needs of one Engine, made as a worker makes it."""

    def __init__(self, engine: PrivateEngine, image: str, place: str, folder: Path) -> None:
        self.calls = EngineCalls(engine.url, deadline_s=20)
        images = Images(
            calls=self.calls, docker_config=folder, lends_credentials=lambda _name: False, pull_silence_s=10
        )
        scratch = Scratch(calls=self.calls, images=images, fill_deadline_s=60)
        self.helper = Helper(
            calls=self.calls,
            scratch=scratch,
            streams=ContainerStreams(calls=self.calls, deadline_s=20),
            installation=INSTALLATION,
            image=image,
            source=place,
            place="/pool",
            deadline_s=20,
        )
        self.docker = DockerEngine(
            engine.url,
            step_deadline_s=20,
            fill_deadline_s=60,
            pull_silence_s=10,
            docker_config=folder,
            network="pools",
            installation=INSTALLATION,
        )
        self.filling = Filling(
            scratch=scratch,
            under_way=UnderWay(),
            installation=INSTALLATION,
            make=self.docker.create_volume,
            drop=self.docker.remove_volume,
        )
        self.pool = Pool(self.helper, path=place)

    async def close(self) -> None:
        await self.helper.remove()
        await self.calls.close()
        await self.docker.close()
