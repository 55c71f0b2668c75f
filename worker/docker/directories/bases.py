"""Bases: what an image has in its system directories, kept once for all pods that began with it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from config.layout import SYSTEM_DIRECTORIES
from worker.docker.calls import EngineCalls
from worker.docker.directories.shapes import Shapes, never_started_body
from worker.docker.directories.under_way import UnderWay
from worker.docker.request import volume_mount
from worker.docker.scratch import Scratch
from worker.errors import ConflictError, ObjectMissingError, PodError
from worker.pods import naming
from worker.pods.layout import image_paths
from worker.pods.model import PinnedImage
from worker.pods.shape import Kind

_log: Final = structlog.get_logger(__name__)


class Bases:
    """Finds and makes bases.

    A base is one volume for each system directory. A container that is never started keeps them from being
    pruned. It gets the base's name last, once everything is on the disk, so the name says that the base is
    whole. If the worker is killed before that, it leaves volumes behind that nothing refers to.
    """

    def __init__(
        self,
        *,
        calls: EngineCalls,
        scratch: Scratch,
        shapes: Shapes,
        under_way: UnderWay,
        installation: str,
        make: "MakeLabelled",
        drop: Callable[[str], Awaitable[None]],
        sync: Callable[[], Awaitable[None]],
    ) -> None:
        self._calls = calls
        self._scratch = scratch
        self._shapes = shapes
        self._under_way = under_way
        self._installation = installation
        self._make = make
        self._drop = drop
        self._sync = sync

    async def find(self, image_id: str) -> tuple[str, tuple[str, ...]] | None:
        """Return name and directories of an image's base, None if there is none yet. 1 call."""
        name = naming.base_name(self._installation, image_id)
        try:
            entry = await self._calls.json("container_inspect", "GET", f"containers/{name}/json")
        except ObjectMissingError:
            return None
        labels = entry["Config"].get("Labels") or {}
        mounts = [each["Destination"] for each in entry.get("Mounts") or ()]
        return labels[naming.LABEL_INCARNATION], tuple(path for path in SYSTEM_DIRECTORIES if path in mounts)

    async def forget(self, image_id: str) -> None:
        """Remove the container whose name says that a base is whole, as it no longer is. 1 call."""
        await self._scratch.remove(naming.base_name(self._installation, image_id))

    async def directories(self, image: PinnedImage) -> tuple[str, ...]:
        """Return those system directories that are real directories in an image."""
        shape = await self._shapes.of(image, image_paths(image))
        return tuple(path for path in SYSTEM_DIRECTORIES if shape.kind(path) is Kind.DIRECTORY)

    async def make(self, image: PinnedImage, directories: tuple[str, ...], *, attempt: str) -> None:
        """Fill a base from an image; if another attempt was finished first, that one is used."""
        final = naming.base_name(self._installation, image.id)
        base = f"{final}-{attempt}"
        with self._under_way.of(base):
            await self._make_attempt(image, directories, final=final, base=base)

    async def _make_attempt(
        self, image: PinnedImage, directories: tuple[str, ...], *, final: str, base: str
    ) -> None:
        labels = naming.base_labels(self._installation, image.id, base)
        volumes = {path: naming.base_volume(base, path) for path in directories}
        try:
            for name in volumes.values():
                await self._make(name, labels)
            container = await self._scratch.create(base, {**_body(image, volumes), "Labels": labels})
            # The name outlives a power cut, so what it vouches for has to be on the disk before.
            await self._sync()
            await self._rename(container, final)
        except PodError as error:
            await self._clear_away(base, volumes)
            if not isinstance(error, ConflictError):
                raise
            _log.info("base_made_by_another", image=image.reference, reason=str(error))
        else:
            _log.info("base_made", image=image.reference, image_id=image.id, directories=list(directories))

    async def _rename(self, container: str, name: str) -> None:
        params = {"name": name}
        await self._calls.json("container_rename", "POST", f"containers/{container}/rename", params=params)

    async def _clear_away(self, base: str, volumes: Mapping[str, str]) -> None:
        """Remove an attempt that failed; what cannot be removed now is removed with the unused bases."""
        try:
            await self._scratch.remove(base)
            for name in volumes.values():
                await self._drop(name)
        except PodError as error:
            _log.warning("base_leftovers", base=base, reason=str(error))


MakeLabelled = Callable[[str, Mapping[str, str]], Awaitable[object]]
"""Makes a volume with labels."""


def _body(image: PinnedImage, volumes: Mapping[str, str]) -> dict[str, Any]:
    body = never_started_body(image, without=volumes)
    mounts = [volume_mount(name, path, no_copy=False) for path, name in volumes.items()]
    return {**body, "HostConfig": {**body["HostConfig"], "Mounts": mounts}}
