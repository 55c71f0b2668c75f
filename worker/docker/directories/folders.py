"""What a container holds outside the volumes of its pod: found, measured, and copied into volumes."""

import asyncio
import posixpath
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from config.layout import SYSTEM_DIRECTORIES
from worker.docker.archives import Sieve
from worker.docker.calls import EngineCalls
from worker.docker.directories import disk_copy
from worker.docker.directories.disk_copy import Source
from worker.docker.request import filler_body, volume_mount
from worker.docker.scratch import Scratch
from worker.errors import CopyFailedError, EngineUnavailableError, OutcomeUnknownError
from worker.planner.volumes.touched import Touch, touched
from worker.planner.volumes.unprotected import Change, parents
from worker.pods import naming
from worker.pods.observation import ObservedContainer
from worker.pods.own_root import Look, Measured, Standing

_SLOWEST: Final = 20 * 10**6
"""Bytes a second that every disk is expected to copy."""


class Folders:
    """Reads on the Engine's own disk if this process sees it, otherwise through the Engine's archives."""

    def __init__(
        self,
        *,
        calls: EngineCalls,
        scratch: Scratch,
        fill_deadline_s: float,
        given_root: Path | None,
        find_init: Callable[[], Awaitable[str | None]],
    ) -> None:
        """`given_root` is where this process sees the Engine's data root, None for the path it names."""
        self._calls = calls
        self._scratch = scratch
        self._deadline_s = fill_deadline_s
        self._given_root = given_root
        self._find_init = find_init

    async def look(
        self, container: ObservedContainer, changes: Sequence[Change], places: Collection[str]
    ) -> Look:
        """Return what in `changes` and at `places` matters to the container's replacement. 1 call each."""
        mounted = (*container.volumes, *container.binds)
        touches = touched(changes, frozenset(mounted), places)
        found: dict[str, Standing] = {}
        for path, touch in touches.items():
            standing = await self._standing(container.id, path, touch, is_place=path in places)
            if standing is not None:
                found[path] = standing
        for place in places:
            standing = await self._at_place(container.id, container.volumes, place, found)
            if standing is not None:
                found[place] = standing
        system = await self._system(container, found) if found.keys() & set(SYSTEM_DIRECTORIES) else ()
        return Look(container_id=container.id, places=tuple(places), found=found, system=system)

    async def look_at_volumes(self, mounts: Mapping[str, str], places: Collection[str]) -> Look:
        """Return what is at `places` in volumes, by the paths where they are mounted."""
        found = {}
        async with self.source(mounts) as container_id:
            for place in places:
                standing = await self._at_place(container_id, mounts, place, {})
                if standing is not None:
                    found[place] = standing
        return Look(container_id="", places=tuple(places), found=found)

    @asynccontextmanager
    async def source(self, source: str | Mapping[str, str]) -> AsyncIterator[str]:
        """Yield the container that is named, or a temporary one, never started, that mounts the volumes."""
        if isinstance(source, str):
            yield source
            return
        name = naming.filler_name(f"look-{uuid4().hex}")
        mounts = [volume_mount(volume, path) for path, volume in source.items()]
        body = {"Cmd": ["/never-started"], "HostConfig": {"Mounts": mounts, "NetworkMode": "none"}}
        async with self._scratch.created(name, body) as container_id:
            yield container_id

    async def measure(self, container_id: str, paths: Sequence[str], *, floor_bytes: int) -> Measured:
        entry = await self._inspect(container_id, size=True)
        root = Path((await self._calls.json("info", "GET", "info"))["DockerRootDir"])
        seen_root = self._given_root or root
        roughly: int | None = entry.get("SizeRootFs")
        hides = any(path in SYSTEM_DIRECTORIES for path in paths)
        measured = Measured(
            paths=tuple(paths),
            needed_bytes=roughly or 0,
            free_bytes=await asyncio.to_thread(_free, seen_root),
            most_bytes=int(self._deadline_s * _SLOWEST),
            where=str(seen_root),
            init_is_hidden=hides and await self._find_init() is None,
        )
        mounts = _mounts(entry)
        is_known = bool(roughly)  # If the Engine does not say how large the whole is, it may not fit.
        if is_known and measured.fits(floor_bytes) and all(_holder(mounts, path) is None for path in paths):
            return measured
        sizes = {}
        holes = True
        for path in paths:
            nested = [*mounts, *(each for each in paths if each != path)]
            sizes[path], keeps = await self._size(entry, root, path, _below(path, nested))
            holes = holes and keeps
        return measured.evolve(needed_bytes=sum(sizes.values()), sizes=sizes, keeps_holes=holes)

    async def copy(self, container_id: str, path: str, volume: str, nested: Collection[str]) -> None:
        entry = await self._inspect(container_id)
        inside = _below(path, [*_mounts(entry), *nested])
        root = Path((await self._calls.json("info", "GET", "info"))["DockerRootDir"])
        source = await self._source(entry, root, path, inside)
        target = await self._calls.json("volume_inspect", "GET", f"volumes/{volume}")
        folder = await asyncio.to_thread(self._folder, root, target)
        if source is not None and folder is not None:
            self._calls.count("folder_copy")
            if await disk_copy.copy(source, folder, self._deadline_s):
                return
        await self._copy_archive(container_id, path, volume, inside)

    def _folder(self, root: Path, volume: Mapping[str, Any]) -> Path | None:
        """Return where this process sees what a volume shows, None if it does not.

        A volume that shows something else holds nothing in its own folder. On a pool that is a directory
        whose name was never used before, so what has it is that, and not what a mount point hides.
        """
        options = volume.get("Options") or {}
        if not options:
            return self._seen(root, volume["Mountpoint"])
        bound = Path(options.get("device", "")) if options.get("o") == "bind" else None
        return bound if bound is not None and bound.is_dir() else None

    async def _copy_archive(self, container_id: str, path: str, volume: str, inside: Sequence[str]) -> None:
        base, sieve = posixpath.basename(path), _sieve(path, inside)
        name = naming.filler_name(volume)
        try:
            async with self._scratch.created(name, filler_body(volume, f"/{base}")) as filler:
                await self._scratch.copy(container_id, path, filler, sieve)
        except (EngineUnavailableError, OutcomeUnknownError) as error:
            took_too_long = isinstance(error.__cause__, TimeoutError)
            if sieve.problem is None and "no space left" not in str(error).lower() and not took_too_long:
                raise  # For example, the Engine went away: that passes.
            raise CopyFailedError(
                f"{path} was not copied into volume {volume}: {sieve.problem or error}"
            ) from error

    async def _standing(
        self, container_id: str, path: str, touch: Touch, *, is_place: bool
    ) -> Standing | None:
        """Return what stands now at a path that was changed, None if that does not matter."""
        if touch is Touch.DELETED:
            return None if is_place else Standing.NOTHING
        if touch is Touch.BELOW:
            return Standing.DIRECTORY
        standing = await self._scratch.standing(container_id, path)
        # The Engine may have made an empty one as the working directory. Another image may have a full one.
        empty = standing is Standing.DIRECTORY and touch is Touch.ADDED and not is_place
        return None if empty or standing is Standing.NOTHING else standing

    async def _at_place(
        self, container_id: str, mounts: Collection[str], place: str, found: Mapping[str, Standing]
    ) -> Standing | None:
        """Return what stands at a place that is on a volume, or in a directory that is kept.

        Anywhere else, the place is as the image has it. None if nothing is there.
        """
        above = parents(place)
        holder = _holder(mounts, place)
        if holder is None and not any(path in found for path in above):
            return None
        for path in (*above[1:], place):
            if holder is not None and len(path) <= len(holder):
                continue
            standing = await self._scratch.standing(container_id, path)
            if standing is not Standing.DIRECTORY:
                return Standing.OTHER if standing is Standing.OTHER else found.get(place)
        return Standing.DIRECTORY if holder is not None else found.get(place)

    async def _system(self, container: ObservedContainer, found: Mapping[str, Standing]) -> tuple[str, ...]:
        """Return the real system directories that are on no volume and that nobody changed."""
        open_ones = [path for path in SYSTEM_DIRECTORIES if path not in (*container.volumes, *found)]
        return tuple([path for path in open_ones if await self._scratch.has_directory(container.id, path)])

    async def _size(
        self, entry: Mapping[str, Any], root: Path, path: str, inside: Sequence[str]
    ) -> tuple[int, bool]:
        """Return how many bytes a copy takes, and whether it keeps the holes of sparse files."""
        source = await self._source(entry, root, path, inside)
        size = await disk_copy.measure(source, self._deadline_s) if source is not None else None
        if size is not None:
            return size, True
        return await self._scratch.count(entry["Id"], path, _sieve(path, inside)), False

    async def _source(
        self, entry: Mapping[str, Any], root: Path, path: str, inside: Sequence[str]
    ) -> Source | None:
        """Return where a directory of a container is on the disk, None if only the Engine knows."""
        mounts = _mounts(entry)
        holder = _holder(mounts, path)
        if holder is not None:
            volume = await self._calls.json("volume_inspect", "GET", f"volumes/{mounts[holder]}")
            if volume.get("Driver") != "local" or volume.get("Options"):
                return None  # While such a volume is in use, something else is mounted over its folder.
            folder = self._seen(root, volume["Mountpoint"])
            return Source(layer=None, root=folder, path=path.removeprefix(holder)[1:], nested=tuple(inside))
        driver = entry.get("GraphDriver") or {}
        upper = (driver.get("Data") or {}).get("UpperDir")
        if driver.get("Name") != "overlay2" or not upper:
            return None
        layer = self._seen(root, upper).parent
        return Source(layer=layer, root=None, path=path[1:], nested=tuple(inside))

    def _seen(self, root: Path, path: str) -> Path:
        """Return where this process sees a path below the Engine's data root."""
        if self._given_root is None or not Path(path).is_relative_to(root):
            return Path(path)
        return self._given_root / Path(path).relative_to(root)

    async def _inspect(self, container_id: str, *, size: bool = False) -> Mapping[str, Any]:
        found: Mapping[str, Any] = await self._calls.json(
            "container_inspect",
            "GET",
            f"containers/{container_id}/json",
            params={"size": "1"} if size else None,
            deadline_s=self._deadline_s if size else None,
        )
        return found


def _mounts(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return mount path to volume name; for mounts that are no volumes the name is empty."""
    return {mount["Destination"]: mount.get("Name", "") for mount in entry.get("Mounts") or ()}


def _holder(mounts: Collection[str], path: str) -> str | None:
    """Return the deepest mount at or above a path."""
    return next((each for each in (path, *reversed(parents(path))) if each in mounts), None)


def _below(path: str, others: Collection[str]) -> list[str]:
    """Return those of `others` that are below `path`, relative to it."""
    return sorted({each.removeprefix(f"{path}/") for each in others if each.startswith(f"{path}/")})


def _sieve(path: str, inside: Sequence[str]) -> Sieve:
    """Return a sieve that leaves paths below a directory out of its archive."""
    base = posixpath.basename(path)
    return Sieve([f"{base}/{each}" for each in inside])


def _free(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
