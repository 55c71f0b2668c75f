"""How a pod's system directories are kept on this Engine."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

import structlog

from worker.docker.directories.bases import Bases
from worker.docker.directories.layers import Layers
from worker.docker.images.images import Images
from worker.errors import ImageGoneError, OutcomeUnknownError, PermanentError
from worker.planner.fold.results import SystemPrepared
from worker.planner.volumes.fit import gone_for_good
from worker.pods import naming
from worker.pods.model import System, SystemMode
from worker.pods.observation import ObservedVolume

_log: Final = structlog.get_logger(__name__)
_ROLE: Final = ", with which the pod's system directories began,"
_T = TypeVar("_T")


class SystemDirectories:
    """Decides on the mode, and makes sure that there is a base."""

    def __init__(
        self,
        *,
        bases: Bases,
        layers: Layers,
        images: Images,
        read_bases: Callable[[], Awaitable[Mapping[str, ObservedVolume]]],
    ) -> None:
        self._bases = bases
        self._layers = layers
        self._images = images
        self._read_bases = read_bases
        self._at_work: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """By image id: many pods that begin at once wait for one base."""

    async def prepare(
        self, wanted: System, present: Mapping[str, ObservedVolume], *, attempt: str
    ) -> SystemPrepared:
        found = await self._find_base(wanted, present) if wanted.mode is SystemMode.OVERLAY else None
        if found is not None:
            return found
        async with self._at_work[wanted.image.id]:
            return await self._prepare(wanted, attempt=attempt)

    async def _prepare(self, wanted: System, *, attempt: str) -> SystemPrepared:
        if wanted.mode is SystemMode.OVERLAY:
            # Another pod may have made the base while this one waited.
            found = await self._find_base(wanted, await self._read_bases(), forget=True)
            if found is not None:
                return found
        system = wanted if wanted.directories else await self._decide(wanted)
        if system.mode is not SystemMode.OVERLAY:
            return SystemPrepared(system=system, bases={})
        await self._with_image(
            system, lambda: self._bases.make(system.image, system.directories, attempt=attempt)
        )
        made = await self._find_base(system, await self._read_bases())
        if made is None:
            raise OutcomeUnknownError(f"the base of image {system.image.reference} is gone again")
        return made

    async def _find_base(
        self, wanted: System, present: Mapping[str, ObservedVolume], *, forget: bool = False
    ) -> SystemPrepared | None:
        """Return the base if it is whole; with `forget`, one that no longer is whole loses its name."""
        found = await self._bases.find(wanted.image.id)
        if found is None:
            return None
        name, directories = found
        wanted_volumes = [naming.base_volume(name, path) for path in directories]
        if not directories or any(volume not in present for volume in wanted_volumes):
            if forget:
                _log.warning("base_lost", image=wanted.image.reference, base=name)
                await self._bases.forget(wanted.image.id)
            return None
        system = wanted.evolve(directories=directories, base=name)
        return SystemPrepared(system=system, bases={volume: present[volume] for volume in wanted_volumes})

    async def _decide(self, wanted: System) -> System:
        """Return how a new pod's directories are kept. A link gets no volume; some hosts have no overlay."""
        directories = await self._with_image(wanted, lambda: self._bases.directories(wanted.image))
        if not directories and wanted.mode is not SystemMode.POOL:
            return wanted.evolve(mode=SystemMode.OFF)
        if await self._layers.init() is None:
            if wanted.mode is SystemMode.POOL:
                raise PermanentError(
                    "a pod on a pool keeps its own /usr, which hides the Engine's init, and that was not "
                    "found on its host: name it by PINACLE_INIT_PATH"
                )
            _log.warning(
                "system_volumes_off",
                reason="the Engine's init was not found on its host: name it by PINACLE_INIT_PATH",
            )
            return wanted.evolve(mode=SystemMode.OFF)
        if wanted.mode is SystemMode.OVERLAY and not await self._layers.overlay_works():
            return wanted.evolve(mode=SystemMode.COPY, directories=directories)
        return wanted.evolve(directories=directories)

    async def _with_image(self, system: System, do: Callable[[], Awaitable[_T]]) -> _T:
        """Do something that needs the image; if it is gone from the host, pull exactly the same one first."""
        try:
            return await do()
        except ImageGoneError as error:
            image = system.image
            if image.repo_digest is None:
                raise PermanentError(
                    f"{gone_for_good(image, _ROLE)}. What the pod "
                    "changed is a layer over the files of that image, so no other image can take its place"
                ) from error
            await self._images.pull(image.repo_digest, pinned=True)
        return await do()
