"""The pool as the Engine shows it: what it has of pods, and how these begin and end there."""

from collections import defaultdict
from collections.abc import Mapping

from worker.errors import ForeignObjectError, StorageMissingError
from worker.pods.model import PinnedImage, Subvolume
from worker.pods.observation import ObservedSubvolume, OnPool, WholePool
from worker.pool.pods import PodSubvolumes, begun_name, parse_begun
from worker.pool.pool import Pool
from worker.pool.seccomp import profile
from worker.pool.templates import Templates


class PoolStorage:
    """See `worker.interfaces.PodPool` for what each method promises."""

    def __init__(self, *, pool: Pool, templates: Templates) -> None:
        self._pool = pool
        self._templates = templates
        self._pods = PodSubvolumes(pool)
        self.seccomp = profile()

    async def look(self, pod_id: str) -> OnPool:
        try:
            found = await self._pods.look(pod_id)
        except StorageMissingError as error:
            return OnPool(problem=str(error))
        return self._by_pod(found).get(pod_id, OnPool())

    async def confirm(self) -> str | None:
        try:
            await self._pool.confirm()
        except StorageMissingError as error:
            return str(error)
        return None

    async def whole(self) -> WholePool:
        problem = await self.confirm()
        if problem is not None:
            return WholePool(problem=problem)
        try:
            listed = await self._pods.list()
        except StorageMissingError as error:
            return WholePool(problem=str(error))
        every = {name: pod.uuid for name, pod in {**listed.pods, **listed.begun}.items()}
        return WholePool(pods=self._by_pod(every))

    async def begin(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        await self._templates.of(image, volumes)
        uuid = await self._pods.begin(pod_id, incarnation, image, limit=limit)
        return Subvolume(uuid=uuid, pool=self._pool.uuid)

    async def name(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        await self._pods.finish(pod_id, incarnation, uuid)
        return self._observed(pod_id, uuid)

    async def remove(self, pod_id: str, uuid: str, incarnation: str | None) -> None:
        listed = await self._pods.list()
        begun = None if incarnation is None else begun_name(pod_id, incarnation)
        pod = listed.pods.get(pod_id) if begun is None else listed.begun.get(begun)
        if pod is None:
            return
        if pod.uuid != uuid:
            raise ForeignObjectError(f"pod {pod_id}: subvolume {pod.uuid} has its name and is not its own")
        if incarnation is not None:
            await self._pods.roll_back(pod_id, incarnation, pod)
        else:
            await self._pods.remove(pod_id, pod)

    def _by_pod(self, uuids: Mapping[str, str]) -> dict[str, OnPool]:
        """Return what each pod has, by the names of subvolumes."""
        begun: defaultdict[str, dict[str, str]] = defaultdict(dict)
        named: dict[str, ObservedSubvolume] = {}
        for name, uuid in uuids.items():
            made = parse_begun(name)
            if made is None:
                named[name] = self._observed(name, uuid)
            else:
                begun[made[0]][made[1]] = uuid
        return {
            pod_id: OnPool(subvolume=named.get(pod_id), begun=begun.get(pod_id, {}))
            for pod_id in named.keys() | begun.keys()
        }

    def _observed(self, pod_id: str, uuid: str) -> ObservedSubvolume:
        return ObservedSubvolume(uuid=uuid, path=f"{self._pool.path}/pods/{pod_id}")
