"""Directories of the host that the Engine itself fills from an image."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from worker.docker.directories.shapes import never_started_body
from worker.docker.directories.under_way import UnderWay
from worker.docker.request import volume_mount
from worker.docker.scratch import Scratch
from worker.pods import naming
from worker.pods.model import PinnedImage

_PREFIX: Final = f"{naming.BASE_PREFIX}pool-"

MakeBound = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[object]]
"""Makes a volume with labels and options."""


class Filling:
    """Lets the Engine copy what an image has, with owners, modes and attributes, into empty directories.

    Each directory is bound as a volume to a container that is never started. The volumes are pointers only:
    their removal leaves the directories. If the worker is killed, they are removed with the unused bases.
    """

    def __init__(
        self,
        *,
        scratch: Scratch,
        under_way: UnderWay,
        installation: str,
        make: MakeBound,
        drop: Callable[[str], Awaitable[None]],
    ) -> None:
        self._scratch = scratch
        self._under_way = under_way
        self._installation = installation
        self._make = make
        self._drop = drop

    async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
        """Fill directories of the host; `directories` gives each by the path in the image that fills it.

        `attempt` was never used before: the Engine would keep the options of a volume that exists. 2 calls,
        and 2 for each directory. Raises ImageGoneError. Whatever fails, the directories may be half filled.
        """
        name = f"{_PREFIX}{attempt}"
        labels = naming.base_labels(self._installation, image.id, name)
        volumes = {path: f"{name}-{number}" for number, path in enumerate(sorted(directories))}
        body = never_started_body(image, without=volumes)
        mounts = [volume_mount(volume, path, no_copy=False) for path, volume in volumes.items()]
        body = {**body, "Labels": labels, "HostConfig": {**body["HostConfig"], "Mounts": mounts}}
        with self._under_way.of(name):
            try:
                for path, volume in volumes.items():
                    bound = {"type": "none", "o": "bind", "device": directories[path]}
                    await self._make(volume, labels, bound)
                async with self._scratch.created(name, body):
                    pass
            finally:
                for volume in volumes.values():
                    await self._drop(volume)
