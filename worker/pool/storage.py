"""The pool as the Engine shows it: what it has of pods, and how these begin and end there."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import structlog

from worker.errors import ForeignObjectError, PermanentError, PodError
from worker.pods.model import PinnedImage, Subvolume
from worker.pods.observation import ImageDirectory, ObservedSize, ObservedSubvolume, OnPool, WholePool
from worker.pool.comparing import unchanged_volumes
from worker.pool.errors import PoolCommandError
from worker.pool.pods import Listed, PodSubvolume, PodSubvolumes, begun_name, parse_begun
from worker.pool.pool import Pool
from worker.pool.seccomp import profile
from worker.pool.templates import Templates, template_name

_log: Final = structlog.get_logger(__name__)


class PoolStorage:
    """See `worker.interfaces.PodPool` for what each method promises."""

    def __init__(self, *, pool: Pool, templates: Templates, fill_deadline_s: float) -> None:
        """`fill_deadline_s` is how long it may take to read what a pod has and what its image has there."""
        self._pool = pool
        self._templates = templates
        self._fill_deadline_s = fill_deadline_s
        self._pods = PodSubvolumes(pool)
        self._empty_before: frozenset[str] = frozenset()
        self._unseen: str | None = None
        """Why it could not be opened."""
        self.seccomp = profile()

    @property
    def is_open(self) -> bool:
        return self._pool.is_open

    async def examine(self) -> None:
        await self._pool.examine(None)

    async def open(self, known: str | None) -> str:
        try:
            found = await self._pool.open(known)
        except PodError as error:
            self._unseen = str(error)
            raise
        _log.info(
            "pool_opened",
            pool=self._pool.path,
            filesystem=found.uuid,
            free_bytes=found.free_bytes,
            size_bytes=found.size_bytes,
            encrypted=found.encrypted.value,
            compression=found.compression,
        )
        return found.uuid

    async def look(self, pod_id: str) -> OnPool:
        if not self._pool.is_open and self._unseen is not None:
            return OnPool(problem=self._unseen)
        try:
            found = await self._pods.look(pod_id)
        except PermanentError as error:
            return OnPool(problem=str(error))
        return replace(self._by_pod(found.uuids).get(pod_id, OnPool()), free_bytes=found.free_bytes)

    async def confirm(self) -> str | None:
        if not self._pool.is_open and self._unseen is not None:
            return self._unseen
        try:
            await self._pool.confirm()
        except PermanentError as error:
            return str(error)
        return None

    async def whole(self) -> WholePool:
        try:
            problem = await self.confirm()
            if problem is not None:
                return WholePool(problem=problem)
            listed = await self._pods.list()
            await self._sweep(listed)
        except PodError as error:
            # A pass sees pods without a pool too, and goes on with them.
            return WholePool(problem=str(error))
        every = {**listed.pods, **listed.begun}
        uuids = {name: pod.uuid for name, pod in every.items()}
        sizes = {name: _size(pod) for name, pod in every.items()}
        return WholePool(pods=self._by_pod(uuids, sizes), templates=listed.templates)

    async def begin(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        template = template_name(image.id, volumes)
        uuid = await self._pods.begin(pod_id, incarnation, template, limit=limit)
        if uuid is None:
            await self._templates.of(image, volumes)
            uuid = await self._pods.begin(pod_id, incarnation, template, limit=limit)
        if uuid is None:
            raise PoolCommandError(f"pod {pod_id}: the template of {image.reference} is gone again")
        return Subvolume(uuid=uuid, pool=self._pool.uuid, incarnation=incarnation)

    async def name(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        await self._pods.finish(pod_id, incarnation, uuid)
        return self._observed(pod_id, uuid)

    async def remove_template(self, name: str) -> None:
        await self._templates.remove(name)

    async def sync(self) -> None:
        await self._pods.sync()

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        await self._pods.add_directory(pod_id, uuid, name)

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        await self._pods.remove_directory(pod_id, uuid, name)

    async def unchanged(
        self, pod_id: str, uuid: str, image: PinnedImage, directories: Mapping[str, ImageDirectory]
    ) -> frozenset[str]:
        volumes = {volume: directory.path for volume, directory in directories.items()}
        await self._templates.of(image, volumes)
        return await unchanged_volumes(
            self._pool,
            pod_id,
            uuid,
            template_name(image.id, volumes),
            directories,
            deadline_s=self._fill_deadline_s,
        )

    async def sizes(self) -> Mapping[str, ObservedSize]:
        return {pod_id: _size(pod) for pod_id, pod in (await self._pods.list()).pods.items()}

    async def size(self, pod_id: str) -> ObservedSize | None:
        found = (await self._pods.list()).pods.get(pod_id)
        return None if found is None else _size(found)

    async def limit(self, pod_id: str, uuid: str, limit: int) -> None:
        found = (await self._pods.list()).pods.get(pod_id)
        if found is None or found.uuid != uuid:
            raise self._foreign(pod_id, found)
        await self._pods.set_limit(pod_id, found, limit)

    async def remove(self, pod_id: str, uuid: str, incarnation: str | None) -> None:
        listed = await self._pods.list()
        begun = None if incarnation is None else begun_name(pod_id, incarnation)
        pod = listed.pods.get(pod_id) if begun is None else listed.begun.get(begun)
        if pod is None:
            return
        if pod.uuid != uuid:
            raise self._foreign(pod_id, pod)
        if incarnation is not None:
            await self._pods.roll_back(pod_id, incarnation, pod)
        else:
            await self._pods.remove(pod_id, pod)

    async def _sweep(self, listed: Listed) -> None:
        """Remove the groups of pods that are gone: those that had nothing the last time either.

        One that is being made has nothing yet.
        """
        again = listed.empty_groups & self._empty_before
        self._empty_before = listed.empty_groups
        if again:
            await self._pods.sweep(replace(listed, empty_groups=again))

    @staticmethod
    def _foreign(pod_id: str, found: PodSubvolume | None) -> ForeignObjectError:
        what = "no subvolume has its name" if found is None else f"subvolume {found.uuid} has its name"
        return ForeignObjectError(f"pod {pod_id}: {what}, and is not its own")

    def _by_pod(
        self, uuids: Mapping[str, str], sizes: Mapping[str, ObservedSize] = MappingProxyType({})
    ) -> dict[str, OnPool]:
        """Return what each pod has, by the names of subvolumes."""
        begun: defaultdict[str, dict[str, str]] = defaultdict(dict)
        named: dict[str, ObservedSubvolume] = {}
        for name, uuid in uuids.items():
            made = parse_begun(name)
            if made is None:
                named[name] = replace(self._observed(name, uuid), size=sizes.get(name))
            else:
                begun[made[0]][made[1]] = uuid
        return {
            pod_id: OnPool(subvolume=named.get(pod_id), begun=begun.get(pod_id, {}))
            for pod_id in named.keys() | begun.keys()
        }

    def _observed(self, pod_id: str, uuid: str) -> ObservedSubvolume:
        return ObservedSubvolume(uuid=uuid, path=f"{self._pool.path}/pods/{pod_id}")


def _size(pod: PodSubvolume) -> ObservedSize:
    return ObservedSize(used=pod.used, limit=pod.limit)
