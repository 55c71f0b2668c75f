"""A pool in memory: subvolumes by name, each with a directory for each volume of its pod."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from worker.errors import ForeignObjectError
from worker.pods.model import Subvolume
from worker.pods.observation import ImageDirectory, ObservedSize, ObservedSubvolume, OnPool, WholePool
from worker.pool.errors import PoolMissingError
from worker.pool.pods import begun_name


@dataclass
class FakeDirectory:
    """A directory and what is in it."""

    content: str
    files: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeSubvolume:
    uuid: str
    directories: dict[str, FakeDirectory]
    limit: int
    used: int = 0


class FakePool:
    """What one host's pool has."""

    def __init__(self, *, path: str = "/pool", uuid: str = "pool") -> None:
        self.path, self.uuid = path, uuid
        self.subvolumes: dict[str, FakeSubvolume] = {}
        self.problem: str | None = None
        """Why it cannot be looked at."""
        self.free_bytes: int | None = None
        self._numbers = count(1)

    def look(self, pod_id: str) -> OnPool:
        if self.problem is not None:
            return OnPool(problem=self.problem)
        found = self.subvolumes.get(pod_id)
        prefix = begun_name(pod_id, "")
        begun = {n.removeprefix(prefix): s.uuid for n, s in self.subvolumes.items() if n.startswith(prefix)}
        return OnPool(
            subvolume=None if found is None else self._observed(pod_id, found),
            begun=begun,
            free_bytes=self.free_bytes,
        )

    def whole(self) -> WholePool:
        pods = {name.removeprefix(".").partition(".")[0] for name in self.subvolumes}
        return WholePool(pods={pod_id: self._sized(pod_id) for pod_id in pods}, problem=self.problem)

    def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        self._check()
        self._check_uuid(pod_id, pod_id, uuid)
        self.subvolumes[pod_id].directories.setdefault(name, FakeDirectory(content=""))

    def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        self._check()
        self._check_uuid(pod_id, pod_id, uuid)
        self.subvolumes[pod_id].directories.pop(name, None)

    def unchanged(
        self, pod_id: str, uuid: str, directories: Mapping[str, ImageDirectory], content: str
    ) -> frozenset[str]:
        self._check()
        self._check_uuid(pod_id, pod_id, uuid)
        there, as_filled = self.subvolumes[pod_id].directories, FakeDirectory(content=content)
        return frozenset(key for key, each in directories.items() if there.get(each.name) == as_filled)

    def size(self, pod_id: str) -> ObservedSize | None:
        self._check()
        found = self.subvolumes.get(pod_id)
        return None if found is None else ObservedSize(used=found.used, limit=found.limit)

    def limit(self, pod_id: str, uuid: str, limit: int) -> None:
        self._check()
        self._check_uuid(pod_id, pod_id, uuid)
        self.subvolumes[pod_id].limit = limit

    def _sized(self, pod_id: str) -> OnPool:
        seen = self.look(pod_id)
        if seen.subvolume is None:
            return seen
        return replace(seen, subvolume=replace(seen.subvolume, size=self.size(pod_id)))

    def begin(
        self, pod_id: str, incarnation: str, directories: dict[str, FakeDirectory], limit: int
    ) -> Subvolume:
        self._check()
        made = FakeSubvolume(uuid=f"uuid-{next(self._numbers)}", directories=directories, limit=limit)
        self.subvolumes[begun_name(pod_id, incarnation)] = made
        return Subvolume(uuid=made.uuid, pool=self.uuid, incarnation=incarnation)

    def name(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        self._check()
        begun = begun_name(pod_id, incarnation)
        if pod_id not in self.subvolumes:
            if begun not in self.subvolumes or self.subvolumes[begun].uuid != uuid:
                raise PoolMissingError(f"pod {pod_id}: its subvolume {uuid} is not there")
            self.subvolumes[pod_id] = self.subvolumes.pop(begun)
        self._check_uuid(pod_id, pod_id, uuid)
        return self._observed(pod_id, self.subvolumes[pod_id])

    def remove(self, pod_id: str, uuid: str, incarnation: str | None) -> None:
        self._check()
        name = pod_id if incarnation is None else begun_name(pod_id, incarnation)
        if name in self.subvolumes:
            self._check_uuid(pod_id, name, uuid)
            del self.subvolumes[name]

    def directory(self, device: str) -> FakeDirectory | None:
        """Return what a volume shows that points to `device`."""
        pod_id, _, volume = device.removeprefix(f"{self.path}/pods/").partition("/")
        found = self.subvolumes.get(pod_id)
        return None if found is None else found.directories.get(volume)

    def _observed(self, pod_id: str, found: FakeSubvolume) -> ObservedSubvolume:
        return ObservedSubvolume(uuid=found.uuid, path=f"{self.path}/pods/{pod_id}")

    def _check(self) -> None:
        if self.problem is not None:
            raise PoolMissingError(self.problem)

    def _check_uuid(self, pod_id: str, name: str, uuid: str) -> None:
        if name not in self.subvolumes or self.subvolumes[name].uuid != uuid:
            raise ForeignObjectError(f"pod {pod_id}: another subvolume has its name")
