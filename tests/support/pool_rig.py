"""A real pool with the template of one image, on which pods are made without a worker."""

import errno
import os
from pathlib import Path
from typing import Final, Self

from tests.support.pools import Parts
from worker.local.images import import_busybox
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.pool.pods import PodSubvolume, PodSubvolumes
from worker.pool.templates import Templates, template_name

MB: Final = 10**6
LIMIT: Final = 40 * MB
VOLUMES: Final = {"opt": "/opt", "home": "/home", "bin": "/bin"}


class Rig:
    """A pool with one template."""

    def __init__(self, parts: Parts, file: PoolFile, template: str) -> None:
        self.parts, self.file, self.template = parts, file, template
        self.pods = PodSubvolumes(parts.pool)

    @classmethod
    async def begun(cls, parts: Parts, file: PoolFile, engine: PrivateEngine) -> Self:
        """Open a pool and fill the template."""
        await parts.pool.open(None)
        import_busybox(engine)
        image = await parts.docker.find_image("pinacle-busybox")
        assert image is not None
        await Templates(parts.pool, parts.filling).of(image, VOLUMES)
        return cls(parts, file, template_name(image.id, VOLUMES))

    async def make(self, pod_id: str, *, limit: int | None = LIMIT) -> PodSubvolume:
        uuid = await self.begin(pod_id, "1", limit=limit)
        await self.pods.finish(pod_id, "1", uuid)
        return await self.of(pod_id)

    async def begin(self, pod_id: str, incarnation: str, *, limit: int | None = LIMIT) -> str:
        uuid = await self.pods.begin(pod_id, incarnation, self.template, limit=limit)
        assert uuid is not None
        return uuid

    async def of(self, pod_id: str) -> PodSubvolume:
        return (await self.pods.list()).pods[pod_id]

    def at(self, pod_id: str) -> Path:
        return self.file.seen / "pods" / pod_id

    async def run(self, script: str, *arguments: str) -> str:
        return await self.parts.pool.run("test", script, *arguments)


def fill(path: Path, most: int = 400 * MB) -> int:
    """Write until there is no more room, or `most` bytes are written; return how many were."""
    written, piece = 0, os.urandom(MB)
    try:
        with path.open("wb", buffering=0) as file:
            while written < most:
                written += file.write(piece)
                os.fsync(file.fileno())
    except OSError as error:
        assert error.errno == errno.EDQUOT  # noqa: PT017 - a full filesystem would be another failure
    return written
