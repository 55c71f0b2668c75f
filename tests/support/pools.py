"""What a worker has of a pool, for tests."""

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
