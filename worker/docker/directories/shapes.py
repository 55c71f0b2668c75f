"""The shapes of images; each image is looked at once."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from worker.docker.directories.under_way import UnderWay
from worker.docker.scratch import Scratch
from worker.pods import naming
from worker.pods.layout import normal_path
from worker.pods.model import PinnedImage
from worker.pods.shape import ROOT, RUN, Folder, ImageShape, Kind, next_look

_LOOK: Final = f"{naming.BASE_PREFIX}look-"


class Shapes:
    """Looks into containers that are never started, and remembers what it saw by image id."""

    def __init__(self, *, scratch: Scratch, under_way: UnderWay, installation: str) -> None:
        self._scratch = scratch
        self._under_way = under_way
        self._installation = installation
        self._known: dict[str, ImageShape] = {}
        self._at_work: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self) -> dict[str, ImageShape]:
        """Return what was seen so far, by image id."""
        return dict(self._known)

    async def of(self, image: PinnedImage, paths: Collection[str]) -> ImageShape:
        """Return the shape of an image, looked at for `paths`. Raises ImageGoneError."""
        async with self._at_work[image.id]:
            shape = self._known.get(image.id, ImageShape())
            if shape.run is None or next_look(shape, paths) is not None:
                self._known[image.id] = shape = await self._look(image, shape, paths)
            return shape

    async def _look(self, image: PinnedImage, shape: ImageShape, paths: Collection[str]) -> ImageShape:
        name = f"{_LOOK}{uuid4().hex}"
        labels = naming.base_labels(self._installation, image.id, name)
        body = {**never_started_body(image), "Labels": labels}
        with self._under_way.of(name):
            async with self._scratch.created(name, body) as container:
                return await self._seen(container, shape, paths)

    async def _seen(self, container: str, shape: ImageShape, paths: Collection[str]) -> ImageShape:
        while (path := next_look(shape, (RUN, *paths))) is not None:
            if path == ROOT:
                shape = replace(shape, roots=await self._scratch.roots(container))
            else:
                shape = shape.seen(path, await self._scratch.look(container, path))
        if shape.run is None:
            shape = replace(shape, run=await self._folders(container, shape))
        return shape

    async def _folders(self, container: str, shape: ImageShape) -> tuple[Folder, ...]:
        place = shape.place(RUN)
        if place is None or shape.kind(place) is not Kind.DIRECTORY:
            return ()
        return await self._scratch.folders(container, place)


def never_started_body(image: PinnedImage, *, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the body of a container for looking at an image; `without` are paths that get a mount."""
    return {
        "Image": image.id,
        "Cmd": ["/never-started"],
        "Entrypoint": [],
        "HostConfig": {
            # Otherwise the image's VOLUME paths would get anonymous volumes.
            "Tmpfs": {path: "" for path in map(normal_path, image.volumes) if path not in without},
            "NetworkMode": "none",
            "RestartPolicy": {"Name": "no"},
        },
    }
