"""Templates: what an image has in the persistent directories, filled once on a pool."""

import asyncio
import posixpath
import re
from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from json import dumps
from typing import Final, Protocol
from uuid import uuid4

import structlog

from worker.errors import PermanentError, PodError
from worker.pods.model import PinnedImage
from worker.pool.errors import PoolCommandError, PoolUnfitError
from worker.pool.groups import EVERYTHING
from worker.pool.pool import TEMPLATES, Pool
from worker.pool.subvolumes import SHOW, Subvolume, parse_shown

_log: Final = structlog.get_logger(__name__)
_IMAGE_ID: Final = re.compile(r"sha256:([0-9a-f]{64})")
_VOLUMES_DIGITS: Final = 16
_NAME: Final = re.compile(r"\.?[0-9a-f]{64}-[0-9a-f]{16}(-[0-9a-f]{32})?")
"""Of a template, or of an attempt at one."""
_VOLUME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BEGIN: Final = f"""
cd {TEMPLATES}
for left in ".$1-"*; do
    [ -d "$left" ] || continue
    btrfs property set -ts "$left" ro false
    btrfs subvolume delete --commit-after "$left" > /dev/null
done
btrfs subvolume create -i {EVERYTHING} "$2" > /dev/null
shift
cd "$1"
shift
for volume in "$@"; do mkdir "$volume"; done
"""
"""What an attempt left that was cut off goes first; its name says that it was never whole."""
_EMPTY: Final = """
cd /pool
for shadowed in "$@"; do
    [ -d "$shadowed" ] && find "./$shadowed" -mindepth 1 -delete
done
exit 0
"""
_PUBLISH: Final = f"""
cd {TEMPLATES}
btrfs filesystem sync .
btrfs property set -ts "$1" ro true
mv --no-copy -nT "$1" "$2"
btrfs filesystem sync .
[ ! -e "$1" ] || echo taken
"""
"""The name comes last, and is on the disk before anybody is told. `mv -n` says nothing if it is taken."""
_DROP: Final = f"""
cd {TEMPLATES}
[ -d "$1" ] || exit 0
btrfs property set -ts "$1" ro false
btrfs subvolume delete --commit-after "$1" > /dev/null
"""


class Fill(Protocol):
    """The Engine's part; see `worker.docker.helper.filling`."""

    async def fill(self, image: PinnedImage, directories: Mapping[str, str], *, attempt: str) -> None:
        """Fill empty directories of the host, given by the path in the image that fills each."""


class Templates:
    """Finds and makes templates. A template's name says that it is whole: it gets it last."""

    def __init__(self, pool: Pool, filling: Fill) -> None:
        self._pool = pool
        self._filling = filling
        self._at_work: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, image: PinnedImage, volumes: Mapping[str, str]) -> Subvolume | None:
        """Return an image's template, None if there is none. 1 exec. Raises as `Pool.run` does.

        Raises PoolUnfitError if what has its name is none of ours: it can be written.
        """
        name = template_name(image.id, volumes)
        script = f'{SHOW}show "{TEMPLATES}/$1"'
        found = parse_shown(await self._pool.run("template: find", script, name))
        if found is not None and not found.read_only:
            raise PoolUnfitError(
                f"template: {self._pool.path}/templates/{name} can be written, so it is none that we made "
                "whole: remove it (btrfs subvolume delete), and it is made again"
            )
        return found

    async def of(self, image: PinnedImage, volumes: Mapping[str, str]) -> Subvolume:
        """Return an image's template, made if there is none; `volumes` gives each volume's path in the image.

        Raises as `Pool.run` and `Fill.fill` do; then there is no template, or that of somebody else.
        """
        _check_volumes(volumes)
        async with self._at_work[template_name(image.id, volumes)]:
            found = await self.find(image, volumes)
            if found is not None:
                return found
            # Before anything is made: the helper might write to what the host has unmounted.
            await self._pool.confirm()
            await self._make(image, volumes)
            made = await self.find(image, volumes)
        if made is None:
            raise PoolCommandError(f"template: that of {image.reference} is gone right after it was made")
        return made

    async def remove(self, name: str) -> None:
        """Remove a template, or what an attempt has left, if it is there; any other name is left alone.

        Raises as `Pool.run` does.
        """
        if _NAME.fullmatch(name) is not None:
            await self._pool.run("template: remove", _DROP, name)

    async def _make(self, image: PinnedImage, volumes: Mapping[str, str]) -> None:
        name, attempt = template_name(image.id, volumes), uuid4().hex
        making = f".{name}-{attempt}"
        await self._pool.run("template: begin", _BEGIN, name, making, *volumes)
        try:
            host = f"{self._pool.path}/templates/{making}"
            directories = {path: f"{host}/{volume}" for volume, path in volumes.items()}
            await self._filling.fill(image, directories, attempt=attempt)
            shadowed = shadowed_directories(volumes)
            if shadowed:
                below = f"/templates/{making}"
                await self._pool.run_within("template: empty", _EMPTY, *shadowed, below=below)
            said = await self._pool.run("template: publish", _PUBLISH, making, name)
            if "taken" in said:
                await self._drop(making)
        except PodError:
            await self._drop(making)
            raise
        _log.info("template_made", image=image.reference, image_id=image.id, volumes=sorted(volumes))

    async def _drop(self, making: str) -> None:
        """Remove an attempt; what cannot be removed now goes when the image's template is made again."""
        try:
            await self.remove(making)
        except PodError as error:
            _log.warning("template_leftovers", attempt=making, reason=str(error))


def template_name(image_id: str, volumes: Mapping[str, str]) -> str:
    """Return the name of the template that has these directories of an image, by volume.

    Others, as another version's rules may ask for, have another. Raises PermanentError for what is no image
    id.
    """
    found = _IMAGE_ID.fullmatch(image_id)
    if found is None:
        raise PermanentError("template: the Engine's id of the image is not of the form sha256:…")
    return f"{found[1]}-{sha256(dumps(dict(volumes), sort_keys=True).encode()).hexdigest()[:_VOLUMES_DIGITS]}"


def shadowed_directories(volumes: Mapping[str, str]) -> tuple[str, ...]:
    """Return what lies in one volume and below another's mount point, as `usr/local` for `/usr/local`.

    Nobody would ever see its content, but it would take room and might hold secrets.
    """
    found = set()
    for volume, path in volumes.items():
        for nested in volumes.values():
            if nested.startswith(f"{path}/"):
                found.add(f"{volume}/{posixpath.relpath(nested, path)}")
    return tuple(sorted(found))


def _check_volumes(volumes: Mapping[str, str]) -> None:
    if any(_VOLUME.fullmatch(name) is None for name in volumes):
        raise PermanentError("template: a volume has a name that no directory of ours has")
