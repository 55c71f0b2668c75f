"""An Engine in memory, for the planner's and the reconciler's tests. The contract suite keeps it honest."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import MappingProxyType

from tests.support.fake_pool import FakeDirectory, FakePool
from tests.support.shapes import seen_shape
from worker.errors import (
    ConflictError,
    EngineFailedError,
    ImageGoneError,
    ObjectMissingError,
    PortTakenError,
)
from worker.interfaces import EngineInfo, Inspected, Progress, Tell, tell_nobody
from worker.planner.container import ContainerRequest, Limits
from worker.planner.fold.results import SystemPrepared
from worker.planner.host.survivors import Evidence
from worker.planner.volumes.touched import Touch, touched
from worker.planner.volumes.unprotected import Change, ChangeKind, parents
from worker.pods import naming
from worker.pods.model import PinnedImage, PublishedPort, Subvolume, System, SystemMode
from worker.pods.observation import (
    ALIVE,
    ContainerState,
    Exit,
    ImageDirectory,
    Observation,
    ObservedContainer,
    ObservedSize,
    ObservedSubvolume,
    ObservedVolume,
    Snapshot,
)
from worker.pods.own_root import Look, Measured, Standing
from worker.pods.shape import ImageShape
from worker.pool.errors import PoolMissingError

FROM_IMAGE = "from the image"
HALF = "half of what the image has"
COPIED = "copied from"
OVERLAY = "what layers and base have"


@dataclass
class FakeVolume:
    """A volume and what is in it; empty is an empty string."""

    labels: dict[str, str]
    content: str = ""
    options: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """What owners made in it, by path as their containers see it."""


@dataclass
class FakeContainer:
    observed: ObservedContainer
    mounts: tuple[str, ...]
    limits: Limits
    env: dict[str, str] = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    changes: list[Change] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """What its owner made in its own root, by path."""
    standing: dict[str, Standing] = field(default_factory=dict)
    """What is at paths that are no directories."""


class FakeEngine:
    """Containers, volumes and images as dicts; each public method of the protocol goes through `_call`."""

    def __init__(self) -> None:
        self.containers: dict[str, FakeContainer] = {}
        self.volumes: dict[str, FakeVolume] = {}
        self.images: dict[str, PinnedImage] = {}
        self.registry: dict[str, PinnedImage] = {}
        self.calls: Counter[str] = Counter()
        self.before: Callable[[str], None] = lambda _operation: None
        """Called before an operation is done; when it raises, nothing was done."""
        self.after: Callable[[str], None] = lambda _operation: None
        """Called after it was done; when it raises, the answer is lost."""
        self.during_fill: Callable[[], None] = lambda: None
        """Called in the middle of filling volumes; when it raises, they stay half filled."""
        self.before_labels: Callable[[], None] = lambda: None
        """Called between making a volume and noting its labels; when it raises, it stays without."""
        self.started: list[tuple[str, dict[str, str]]] = []
        """Every start: the container's name, and what was in its volumes."""
        self.started_beside: list[str] = []
        """Names of containers that ran when another one of the same pod was started."""
        self.directories: tuple[str, ...] = ("/usr", "/lib")
        """The system directories that images have."""
        self.roots: dict[str, tuple[str, ...]] = {}
        """Image id to the directories directly below `/` that no pod has by itself."""
        self.links: dict[str, dict[str, str]] = {}
        """Image id to path and target of the links that the image has."""
        self.making: set[str] = set()
        """Names of bases that are being made."""
        self.looked_at: dict[str, ImageShape] = {}
        self.refusal: str | None = None
        """Why no new pod may be on the network."""
        self.busy_ports: set[int] = set()
        """Host ports that programs of the host have."""
        self.now = 0.0
        self.needed_bytes, self.free_bytes = 0, 10**12
        """What is to be kept of a container takes so much, and so much is free."""
        self.pool: FakePool | None = None
        self._ids = count(1)

    async def info(self) -> EngineInfo:
        self._begin("info")
        return EngineInfo(
            name="fake",
            api_version="1.41",
            runtimes=frozenset({"runc"}),
            data_root=Path("/nonexistent"),
            storage_driver="overlay2",
            default_runtime="runc",
        )

    async def observe(
        self,
        pod_id: str,
        volume_names: frozenset[str],
        sure_of: str | None = None,
        *,
        on_pool: bool = False,
    ) -> Observation:
        self._begin("container_inspect")
        found = self.containers.get(naming.container_name(pod_id))
        self._begin("volume_list")
        seen = self._looked(self._snapshot().pod(pod_id, volume_names), pod_id, on_pool=on_pool)
        observed = None if found is None else found.observed
        ours = observed is not None and observed.labels.get(naming.LABEL_INSTALLATION) == "test"
        sure = ours and observed is not None and observed.id == sure_of
        if not seen.volumes or sure:
            return seen.evolve(container=observed, others=())
        self._begin("container_list")
        return seen.evolve(container=observed)

    async def observe_all(self) -> Snapshot:
        self._begin("container_list")
        self._begin("volume_list")
        return replace(self._whole_snapshot(), pool=None if self.pool is None else self.pool.whole())

    async def read_volumes(
        self, pod_id: str, volume_names: frozenset[str], *, on_pool: bool = False
    ) -> Observation:
        self._begin("volume_list")
        return self._looked(self._snapshot().pod(pod_id, volume_names), pod_id, on_pool=on_pool)

    def _looked(self, seen: Observation, pod_id: str, *, on_pool: bool) -> Observation:
        if not on_pool:
            return seen
        self._begin("pool_list")
        return seen.evolve(pool=None if self.pool is None else self.pool.look(pod_id))

    async def inspect_exit(self, container_id: str) -> Exit:
        self._begin("container_inspect")
        exited = self._by_id(container_id).observed.exit
        return exited or Exit(code=0, oom_killed=False, started_at=0.0, finished_at=0.0)

    async def changes(self, container_id: str) -> Sequence[Change]:
        self._begin("container_changes")
        return self._by_id(container_id).changes

    async def inspect(self, container_id: str) -> Inspected:
        exited = await self.inspect_exit(container_id)
        return Inspected(exit=exited, mounted=frozenset(self._by_id(container_id).observed.volumes))

    async def look(self, container: ObservedContainer, places: Collection[str]) -> Look:
        changes, found = await self.changes(container.id), self._by_id(container.id)
        standing: dict[str, Standing] = {}
        for path, touch in touched(changes, frozenset(container.volumes), places).items():
            stands = found.standing.get(path, Standing.DIRECTORY)
            if touch is Touch.DELETED:
                stands = Standing.NOTHING
            if touch is Touch.ADDED and stands is Standing.DIRECTORY and path not in places:
                continue
            standing[path] = stands
        for place in places:
            holder = _holder(container.volumes, place)
            files = self._visible(found)
            if holder is not None and any(each.startswith(f"{place}/") for each in files):
                standing[place] = Standing.DIRECTORY
        return Look(container_id=container.id, places=tuple(places), found=standing)

    async def look_at_volumes(self, mounts: Mapping[str, str], places: Collection[str]) -> Look:
        self._begin("volume_look")
        files = self._seen_through(mounts, {})
        found = {
            place: Standing.DIRECTORY
            for place in places
            if any(each.startswith(f"{place}/") for each in files)
        }
        return Look(container_id="", places=tuple(places), found=found)

    async def measure_folders(
        self, source: str | Mapping[str, str], paths: Sequence[str], *, floor_bytes: int
    ) -> Measured:
        self._begin("folder_measure")
        if isinstance(source, str):
            self._by_id(source)
        return Measured(
            paths=tuple(paths),
            needed_bytes=self.needed_bytes,
            free_bytes=self.free_bytes,
            most_bytes=10**12,
            where="/fake",
            sizes=dict.fromkeys(paths, self.needed_bytes),
        )

    async def copy_folder(
        self, source: str | Mapping[str, str], path: str, volume: str, nested: Collection[str]
    ) -> None:
        self._begin("folder_copy")
        target = self._data(self.volumes[volume])
        mounts = self._by_id(source).observed.volumes if isinstance(source, str) else source
        own = self._by_id(source).files if isinstance(source, str) else {}
        target.content = HALF
        self.during_fill()
        left_out = [each for each in (*nested, *mounts) if each.startswith(f"{path}/")]
        target.files = {
            each: text
            for each, text in self._seen_through(mounts, own).items()
            if each.startswith(f"{path}/") and _holder(left_out, each) is None
        }
        target.content = f"{COPIED} {path}"
        self.after("folder_copy")

    async def inspect_evidence(self, container_id: str) -> Evidence:
        self._begin("container_inspect")
        container = self._by_id(container_id)
        self._begin("image_inspect")
        images = (i for i in self.images.values() if i.id == container.observed.image_id)
        return Evidence(
            env=tuple(f"{name}={value}" for name, value in container.env.items()),
            image_env=(),
            ports=container.ports,
            mounts=tuple(container.observed.volumes.items()),
            limits=container.limits,
            image=next(images, None),
        )

    async def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str] = MappingProxyType({})
    ) -> ObservedVolume:
        self._begin("volume_create")
        made = FakeVolume(labels={}, content=OVERLAY if options else "", options=dict(options))
        volume = self._made(name, made, labels)
        self.after("volume_create")
        return _observed(name, volume)

    def _made(self, name: str, volume: FakeVolume, labels: Mapping[str, str]) -> FakeVolume:
        """Make a volume as the Engine does if there is none: first the volume, then its labels."""
        if name not in self.volumes:
            self.volumes[name] = volume
            self.before_labels()
            volume.labels.update(labels)
        return self.volumes[name]

    async def look_at_image(self, image: PinnedImage, paths: Collection[str]) -> ImageShape:
        if image.id not in {each.id for each in self.images.values()}:
            raise ImageGoneError(f"No such image: {image.id}")
        if image.id not in self.looked_at:
            self._begin("image_look")
        links = self.links.get(image.id, {})
        shape = seen_shape(paths, links, directories=self.directories, roots=self.roots.get(image.id, ()))
        self.looked_at[image.id] = shape
        return shape

    async def prepare_system(
        self, wanted: System, present: Mapping[str, ObservedVolume], *, attempt: str
    ) -> SystemPrepared:
        self._begin("system_prepare")
        system = wanted.evolve(directories=self.directories)
        if not self.directories:
            return SystemPrepared(system=wanted.evolve(mode=SystemMode.OFF), bases={})
        if wanted.mode is not SystemMode.OVERLAY:
            return SystemPrepared(system=system, bases={})
        final = naming.base_name("test", wanted.image.id)
        keeper = self.containers.get(final)
        if keeper is None or any(name not in self.volumes for name in keeper.mounts):
            self._make_base(final, f"{final}-{attempt}", wanted.image)
        base = self.containers[final].observed.labels[naming.LABEL_INCARNATION]
        self.after("system_prepare")
        bases = {name: _observed(name, self.volumes[name]) for name in self.containers[final].mounts}
        return SystemPrepared(system=system.evolve(base=base), bases=bases)

    def _make_base(self, final: str, base: str, image: PinnedImage) -> None:
        labels = naming.base_labels("test", image.id, base)
        names = tuple(naming.base_volume(base, path) for path in self.directories)
        for name in names:
            self.volumes[name] = FakeVolume(labels=labels, content=FROM_IMAGE)
        keeper = ObservedContainer(
            id=self._new_id(),
            name=final,
            state=ContainerState.CREATED,
            image_id=image.id,
            labels=labels,
            volumes=dict(zip(self.directories, names, strict=True)),
        )
        self.containers[final] = FakeContainer(
            observed=keeper, mounts=names, limits=Limits(cpus=1, memory_bytes=0)
        )

    def bases_under_way(self) -> frozenset[str]:
        return frozenset(self.making)

    async def fill_layers(self, name: str) -> None:
        self._begin("layers_fill")
        self.volumes[name].content = HALF
        self.during_fill()
        self.volumes[name].content = FROM_IMAGE
        self.after("layers_fill")

    async def remove_volume(self, name: str) -> None:
        self._begin("volume_remove")
        users = [c.observed.name for c in self.containers.values() if name in c.mounts]
        if users:
            raise ConflictError(f"volume {name} is in use by {users}")
        self.volumes.pop(name, None)
        self.after("volume_remove")

    async def begin_subvolume(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        self._begin("subvolume_begin")
        if image.id not in {each.id for each in self.images.values()}:
            raise ImageGoneError(f"No such image: {image.id}")
        directories = {name: FakeDirectory(content=FROM_IMAGE) for name in volumes}
        begun = self._given_pool().begin(pod_id, incarnation, directories, limit)
        self.after("subvolume_begin")
        return begun

    async def name_subvolume(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        self._begin("subvolume_name")
        named = self._given_pool().name(pod_id, incarnation, uuid)
        self.after("subvolume_name")
        return named

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        self._begin("directory_add")
        self._given_pool().add_directory(pod_id, uuid, name)
        self.after("directory_add")

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        self._begin("directory_remove")
        self._given_pool().remove_directory(pod_id, uuid, name)
        self.after("directory_remove")

    async def unchanged_directories(
        self, pod_id: str, uuid: str, image_id: str, directories: Mapping[str, ImageDirectory]
    ) -> frozenset[str]:
        self._begin("directory_compare")
        if image_id not in {each.id for each in self.images.values()}:
            return frozenset()
        unchanged = self._given_pool().unchanged(pod_id, uuid, directories, FROM_IMAGE)
        self.after("directory_compare")
        return unchanged

    async def subvolume_size(self, pod_id: str) -> ObservedSize | None:
        self._begin("pool_list")
        return self._given_pool().size(pod_id)

    async def limit_subvolume(self, pod_id: str, uuid: str, limit: int) -> None:
        self._begin("subvolume_limit")
        self._given_pool().limit(pod_id, uuid, limit)
        self.after("subvolume_limit")

    async def remove_subvolume(self, pod_id: str, uuid: str, incarnation: str | None = None) -> None:
        self._begin("subvolume_remove")
        self._given_pool().remove(pod_id, uuid, incarnation)
        self.after("subvolume_remove")

    def _given_pool(self) -> FakePool:
        if self.pool is None:
            raise PoolMissingError("this host has no pool")
        return self.pool

    async def remove_empty_volume(self, name: str) -> bool:
        self._begin("volume_look")
        volume = self.volumes.get(name)
        is_empty = volume is None or not (volume.content or volume.files)
        if is_empty:
            await self.remove_volume(name)
        return is_empty

    async def sync_volumes(self, *, on_pool: bool = False) -> None:
        if on_pool:
            self._begin("pool_sync")
        self._begin("sync")
        self.after("sync")

    async def create_container(self, request: ContainerRequest) -> ObservedContainer:
        self._begin("container_create")
        if request.name in self.containers:
            raise ConflictError(f"the name {request.name} is in use")
        if request.image_id not in {image.id for image in self.images.values()}:
            raise ImageGoneError(f"No such image: {request.image_id}")
        for mount in request.mounts:
            volume = self._data(self._made(mount.source, FakeVolume(labels={}), request.unasked_labels))
            if not mount.no_copy and not volume.content:
                volume.content = HALF
                self.during_fill()
                volume.content = FROM_IMAGE
        observed = ObservedContainer(
            id=self._new_id(),
            name=request.name,
            state=ContainerState.CREATED,
            image_id=request.image_id,
            labels=request.labels,
            volumes={mount.target: mount.source for mount in request.mounts},
            networks=(request.network,),
            network_mode=request.network,
        )
        self.containers[request.name] = FakeContainer(
            observed=observed,
            mounts=tuple(mount.source for mount in request.mounts),
            limits=request.limits,
            env=dict(request.spec.env),
            ports=request.ports,
        )
        self.after("container_create")
        return observed

    async def start_container(self, container_id: str) -> None:
        self._begin("container_start")
        container = self._by_id(container_id)
        busy = [port.host for port in container.ports if port.host in self.busy_ports]
        if busy:
            raise PortTakenError(
                f"listen tcp4 {container.ports[0].address}:{busy[0]}: address already in use"
            )
        if container.observed.state is not ContainerState.RUNNING:
            contents = {n: self._data(self.volumes[n]).content for n in container.mounts if n in self.volumes}
            self.started.append((container.observed.name, contents))
            pods = self.of_pod(container.observed.pod_id or "")
            self.started_beside += [c.observed.name for c in pods if c.observed.state in ALIVE]
            self._become(container, ContainerState.RUNNING)
        self.after("container_start")

    async def unpause_container(self, container_id: str) -> None:
        self._begin("container_unpause")
        container = self._by_id(container_id)
        if container.observed.state is ContainerState.PAUSED:
            self._become(container, ContainerState.RUNNING)
        self.after("container_unpause")

    async def stop_container(self, container_id: str, timeout_s: int) -> None:
        self._begin("container_stop")
        container = self._by_id(container_id)
        if container.observed.state in ALIVE:
            self._end(container, 143)
        self.after("container_stop")

    async def update_container(self, container_id: str, limits: Limits) -> None:
        self._begin("container_update")
        self._by_id(container_id).limits = limits
        self.after("container_update")

    async def rename_container(self, container_id: str, name: str) -> None:
        self._begin("container_rename")
        container = self._by_id(container_id)
        if self.containers.get(name, container) is not container:
            raise ConflictError(f"the name {name} is in use")
        self._rename(container, name)
        self.after("container_rename")

    async def connect_network(self, container_id: str, network: str) -> None:
        self._begin("network_connect")
        container = self._by_id(container_id)
        networks = (*(n for n in container.observed.networks or () if n != network), network)
        container.observed = replace(container.observed, networks=networks)
        self.after("network_connect")

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        self._begin("container_remove")
        found = next((c for c in self.containers.values() if c.observed.id == container_id), None)
        if found is not None:
            if found.observed.state in ALIVE and not force:
                raise ConflictError(f"container {container_id} runs")
            del self.containers[found.observed.name]
        self.after("container_remove")

    async def find_image(self, reference: str) -> PinnedImage | None:
        self._begin("image_inspect")
        by_id = (image for image in self.images.values() if image.id == reference)
        return self.images.get(reference) or next(by_id, None)

    async def network_refusal(self) -> str | None:
        if self.refusal is not None:
            self._begin("network_list")
        return self.refusal

    async def check_registry(self, reference: str, *, pinned: bool = False) -> None:
        self._begin("distribution_inspect")

    async def pull_image(
        self, reference: str, *, pinned: bool = False, tell: Tell = tell_nobody
    ) -> PinnedImage:
        self._begin("image_pull")
        tell(Progress(image=reference, done_bytes=1, total_bytes=1, done_layers=1, total_layers=1))
        self.images[reference] = self.registry[reference]
        self.after("image_pull")
        return self.images[reference]

    async def create_mark(self, name: str, labels: Mapping[str, str]) -> str:
        self._begin("mark_create")
        if name in self.containers:
            raise ConflictError(f"the name {name} is already in use")
        return self._mark(name, labels, {})

    def _mark(self, name: str, labels: Mapping[str, str], volumes: Mapping[str, str]) -> str:
        mark = ObservedContainer(
            id=self._new_id(),
            name=name,
            state=ContainerState.CREATED,
            image_id="",
            labels=dict(labels),
            volumes=volumes,
        )
        self.containers[name] = FakeContainer(
            observed=mark, mounts=tuple(volumes.values()), limits=Limits(cpus=1, memory_bytes=0)
        )
        return mark.id

    async def keep_storage(self, installation: str, identity: str, labels: Mapping[str, str]) -> str:
        self._begin("storage_keep")
        name = naming.storage_name(installation)
        named = {naming.LABEL_INSTALLATION: installation, naming.LABEL_STORAGE: identity}
        volume = self.volumes.setdefault(name, FakeVolume(labels=named))
        if not volume.labels and not volume.content:
            volume.labels.update(named)
        if name not in self.containers:
            self._mark(name, labels, {"/storage": name})
        self.after("storage_keep")
        return volume.labels[naming.LABEL_STORAGE]

    async def close(self) -> None:
        return

    def crash(self, pod_id: str, code: int = 137) -> None:
        """End a pod's container unexpectedly, after it has run for a minute."""
        container = self._of(pod_id)
        if container.observed.state is ContainerState.RUNNING:
            self._end(container, code)

    def lose_container(self, pod_id: str) -> None:
        """Remove the container of a pod that runs or would run."""
        for container in self.of_pod(pod_id)[:1]:
            del self.containers[container.observed.name]

    def rename(self, pod_id: str) -> None:
        """Give a pod's container a name that nobody knows, as `docker rename` does."""
        self._rename(self._of(pod_id), f"renamed-{next(self._ids)}")

    def double(self, pod_id: str) -> None:
        """Let a second container run for a pod, as an older system made one if the first was renamed."""
        twin = self._of(pod_id)
        self.rename(pod_id)
        name, number = naming.container_name(pod_id), self._new_id()
        if name not in self.containers:
            observed = replace(twin.observed, id=number, name=name)
            self.containers[name] = replace(
                twin, observed=observed, changes=[*twin.changes], files={**twin.files}
            )

    def disconnect(self, pod_id: str) -> None:
        """Detach a pod's container from all networks, as `docker network disconnect` does."""
        container = self._of(pod_id)
        container.observed = replace(container.observed, networks=())

    def of_pod(self, pod_id: str) -> list[FakeContainer]:
        """Return the containers with a pod's labels, those that run before the others."""
        found = [c for c in self.containers.values() if c.observed.pod_id == pod_id]
        return sorted(found, key=lambda each: each.observed.state not in ALIVE)

    def observed_volumes(self) -> list[ObservedVolume]:
        return [_observed(name, volume) for name, volume in self.volumes.items()]

    def lose_bases(self) -> None:
        """Remove every base that only its keeper mounts."""
        keepers = {n: c for n, c in self.containers.items() if naming.LABEL_BASE in c.observed.labels}
        used = {name for n, c in self.containers.items() if n not in keepers for name in c.mounts}
        for name, keeper in keepers.items():
            if used.isdisjoint(keeper.mounts):
                del self.containers[name]
                for volume in keeper.mounts:
                    del self.volumes[volume]

    def make_file(self, pod_id: str, path: str, text: str) -> None:
        """Let the owner of a running pod make a file, with the directories above it."""
        container = self._of(pod_id)
        holder = _holder(container.observed.volumes, path)
        if holder is not None:
            self._data(self.volumes[container.observed.volumes[holder]]).files[path] = text
            return
        container.files[path] = text
        container.changes += [Change(path=each, kind=ChangeKind.ADDED) for each in (*parents(path), path)]

    def visible(self, pod_id: str) -> dict[str, str]:
        """Return what owners made, as a pod's container sees it."""
        return self._visible(self._of(pod_id))

    def _visible(self, container: FakeContainer) -> dict[str, str]:
        return self._seen_through(container.observed.volumes, container.files)

    def _seen_through(self, mounts: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
        there = {mount: self.volumes[name] for mount, name in mounts.items() if name in self.volumes}
        held = [(mount, self._data(volume).files) for mount, volume in there.items()]
        return {path: text for path, text in own.items() if _holder(mounts, path) is None} | {
            path: text
            for mount, files in held
            for path, text in files.items()
            if _holder(mounts, path) == mount
        }

    def restart_host(self) -> None:
        """End all containers, as a restart of the Engine or its host does."""
        for container in self.containers.values():
            if container.observed.state in ALIVE:
                self._end(container, 255)

    def pause(self, pod_id: str) -> None:
        self._become(self._of(pod_id), ContainerState.PAUSED)

    def write(self, pod_id: str, content: str) -> frozenset[str]:
        """Write into all volumes of a running pod, as its owner does; return their names."""
        mounts = self._of(pod_id).mounts
        own = [n for n in mounts if naming.LABEL_BASE not in self.volumes[n].labels]
        # What is written to an overlay is in the pod's layers, which are one of these volumes.
        written = [name for name in own if self.volumes[name].options.get("type") != "overlay"]
        for name in written:
            self._data(self.volumes[name]).content = content
        return frozenset(written)

    def is_running(self, pod_id: str) -> bool:
        return any(c.observed.state is ContainerState.RUNNING for c in self.of_pod(pod_id))

    def content(self, name: str) -> str:
        """Return what is in a volume, wherever it holds it."""
        return self._data(self.volumes[name]).content

    def _data(self, volume: FakeVolume) -> FakeVolume | FakeDirectory:
        """Return what holds the data of a volume: itself, or a directory on the pool."""
        device = volume.options.get("device", "")
        if self.pool is None or not device.startswith(f"{self.pool.path}/"):
            return volume
        found = self.pool.directory(device)
        if found is None:
            raise EngineFailedError(f"failed to mount local volume: {device}: no such file or directory")
        return found

    def _begin(self, operation: str) -> None:
        self.before(operation)
        self.calls[operation] += 1

    def _snapshot(self) -> Snapshot:
        containers = [replace(c.observed, exit=None) for c in self.containers.values()]
        return Snapshot.of(containers, self.observed_volumes())

    def _whole_snapshot(self) -> Snapshot:
        return replace(self._snapshot(), shapes=dict(self.looked_at))

    def _by_id(self, container_id: str) -> FakeContainer:
        found = next((c for c in self.containers.values() if c.observed.id == container_id), None)
        if found is None:
            raise ObjectMissingError(f"No such container: {container_id}")
        return found

    def _new_id(self) -> str:
        """Return an id whose beginning is unique, like those of an Engine."""
        return f"{next(self._ids):012x}{'0' * 52}"

    def _of(self, pod_id: str) -> FakeContainer:
        return self.of_pod(pod_id)[0]

    def _rename(self, container: FakeContainer, name: str) -> None:
        del self.containers[container.observed.name]
        container.observed = replace(container.observed, name=name)
        self.containers[name] = container

    def _become(self, container: FakeContainer, state: ContainerState) -> None:
        container.observed = replace(container.observed, state=state, exit=None)

    def _end(self, container: FakeContainer, code: int) -> None:
        exited = Exit(code=code, oom_killed=False, started_at=self.now - 60, finished_at=self.now)
        container.observed = replace(container.observed, state=ContainerState.EXITED, exit=exited)


def _holder(mounts: Collection[str], path: str) -> str | None:
    """Return the deepest mount at or above a path."""
    return next((each for each in (path, *reversed(parents(path))) if each in mounts), None)


def _observed(name: str, volume: FakeVolume) -> ObservedVolume:
    return ObservedVolume(name=name, labels=volume.labels, mountpoint=f"/fake/{name}", options=volume.options)
