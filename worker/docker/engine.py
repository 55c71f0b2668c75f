"""The Engine as the reconciler wants it: `worker.interfaces.Engine` on one real Docker Engine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from worker.docker.calls import EngineCalls
from worker.docker.directories.bases import Bases
from worker.docker.directories.disk import Disk
from worker.docker.directories.disk_meter import measure
from worker.docker.directories.folders import Folders
from worker.docker.directories.layers import Layers
from worker.docker.directories.shapes import Shapes
from worker.docker.directories.system_volumes import SystemDirectories
from worker.docker.directories.under_way import UnderWay
from worker.docker.events import Events
from worker.docker.failures import half_removed
from worker.docker.helper.container import Helper
from worker.docker.helper.filling import Filling
from worker.docker.host_rules import HostRules
from worker.docker.images.images import Images
from worker.docker.inside.streams import ContainerStreams
from worker.docker.inside.usage import ContainerUsage
from worker.docker.network import Bridge, Network
from worker.docker.parse import (
    evidence,
    inspected_container,
    inspected_exit,
    listed_container,
    listed_volume,
)
from worker.docker.request import create_body, filler_body, keeper_body, mark_body, update_body
from worker.docker.scratch import Scratch, mapped_root
from worker.docker.volumes import Volumes
from worker.errors import (
    ConflictError,
    EngineFailedError,
    EngineUnavailableError,
    ForeignObjectError,
    ImageGoneError,
    ObjectMissingError,
    PermanentError,
    PodError,
    StorageMissingError,
)
from worker.interfaces import UNOBSERVED, EngineInfo, Inspected, Observer, PodPool, Tell, tell_nobody
from worker.planner.container import ContainerRequest, Limits
from worker.planner.fold.results import SystemPrepared
from worker.planner.host import egress
from worker.planner.host.survivors import Evidence
from worker.planner.volumes.unprotected import Change, ChangeKind
from worker.pods import naming
from worker.pods.model import PinnedImage, Subvolume, System
from worker.pods.observation import (
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
from worker.pods.own_root import Look, Measured
from worker.pods.shape import ImageShape

_T = TypeVar("_T")
_NOT_MOUNTED: Final = "failed to mount local volume"
_LIMITS: Final = {"memory": "MemoryLimit", "CPU": "CpuCfsQuota", "processes": "PidsLimit"}
"""What pods are limited in, and what the Engine calls its ability to do that."""


class DockerEngine:
    """One Docker Engine, API 1.41 or newer. See `worker.interfaces.Engine` for what each method promises."""

    pool: PodPool | None = None
    """Set by whoever makes it: a pool's tools run in a container of this Engine."""

    def __init__(
        self,
        url: str,
        *,
        step_deadline_s: float,
        list_deadline_s: float = 60.0,
        fill_deadline_s: float,
        pull_silence_s: float,
        docker_config: Path,
        lends_credentials: Callable[[str], bool] = lambda _reference: False,
        network: str,
        installation: str,
        data_root: Path | None = None,
        init_path: str | None = None,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """`data_root` is where this process sees the Engine's data root; None means the path that it names.

        `lends_credentials` says whether the credentials in `docker_config` may be used for an image that a
        caller asks for.

        `init_path` is where the Engine's host has its init; None means that it is searched.
        """
        self._calls = EngineCalls(url, deadline_s=step_deadline_s, observer=observer)
        self._given_root = data_root
        self._data_root: Path | None = None
        self._fill_deadline_s = fill_deadline_s
        # A sync is the end of a fill, so it gets as much time.
        self._disk = Disk(deadline_s=fill_deadline_s, patience_s=step_deadline_s)
        # The list has all volumes of the host, even for one pod.
        self._volumes = Volumes(calls=self._calls, installation=installation, deadline_s=list_deadline_s)
        self._installation = installation
        self._network_name = network
        self._network = Network(
            calls=self._calls, name=network, installation=installation, close=self._close_egress
        )
        self.events = Events(calls=self._calls, installation=installation)
        self.meter = ContainerUsage(calls=self._calls)
        self.streams = ContainerStreams(calls=self._calls, deadline_s=step_deadline_s)
        self._images = Images(
            calls=self._calls,
            docker_config=docker_config,
            lends_credentials=lends_credentials,
            pull_silence_s=pull_silence_s,
        )
        self._scratch = Scratch(calls=self._calls, images=self._images, fill_deadline_s=fill_deadline_s)
        self._host_rules = HostRules(
            calls=self._calls, scratch=self._scratch, installation=installation, deadline_s=step_deadline_s
        )
        self._allowed: Sequence[str] = ()
        self._under_way = UnderWay()
        self._helpers: list[Helper] = []
        self._shapes = Shapes(scratch=self._scratch, under_way=self._under_way, installation=installation)
        self._layers = self._make_layers(init_path)
        self._folders = self._make_folders()
        self._system = SystemDirectories(
            bases=self._make_bases(), layers=self._layers, images=self._images, read_bases=self._volumes.bases
        )

    def _make_layers(self, init_path: str | None) -> Layers:
        return Layers(
            scratch=self._scratch,
            under_way=self._under_way,
            installation=self._installation,
            init_path=init_path,
            make=self.create_volume,
            drop=self.remove_volume,
        )

    def _make_folders(self) -> Folders:
        return Folders(
            calls=self._calls,
            scratch=self._scratch,
            fill_deadline_s=self._fill_deadline_s,
            given_root=self._given_root,
            find_init=self._layers.init,
        )

    def _make_bases(self) -> Bases:
        return Bases(
            calls=self._calls,
            scratch=self._scratch,
            shapes=self._shapes,
            under_way=self._under_way,
            installation=self._installation,
            make=self.create_volume,
            drop=self.remove_volume,
            sync=self.sync_volumes,
        )

    def helper(self, *, image: str, source: str, place: str, deadline_s: float) -> Helper:
        """Return a helper that sees the host's directory `source` at `place`; nothing is made yet."""
        helper = Helper(
            calls=self._calls,
            scratch=self._scratch,
            streams=self.streams,
            installation=self._installation,
            image=image,
            source=source,
            place=place,
            deadline_s=deadline_s,
        )
        self._helpers.append(helper)
        return helper

    def filling(self) -> Filling:
        """Return what lets the Engine fill directories of its host."""
        return Filling(
            scratch=self._scratch,
            under_way=self._under_way,
            installation=self._installation,
            make=self.create_volume,
            drop=self.remove_volume,
        )

    async def info(self) -> EngineInfo:
        entry = await self._calls.json("info", "GET", "info")
        self._data_root = self._given_root or Path(entry["DockerRootDir"])
        self._scratch.root = mapped_root(entry)
        return EngineInfo(
            name=entry["Name"],
            api_version=(await self._calls.client()).api_version.lstrip("v"),
            runtimes=frozenset(entry.get("Runtimes") or ()),
            data_root=self._data_root,
            storage_driver=entry.get("Driver") or "",
            live_restore=bool(entry.get("LiveRestoreEnabled")),
            default_runtime=entry.get("DefaultRuntime") or None,
            system_time=str(entry.get("SystemTime") or ""),
            unlimited=frozenset(what for what, key in _LIMITS.items() if entry.get(key) is False),
            user_namespaces=any(each == "name=userns" for each in entry.get("SecurityOptions") or ()),
        )

    async def data_root(self) -> Path:
        """Return where this process sees the Engine's data root, if it sees it; asked for once."""
        return self._data_root or (await self.info()).data_root

    async def sync_volumes(self, *, on_pool: bool = False) -> None:
        if on_pool:
            await self._given_pool().sync()
        await self._disk.sync(await self.data_root())

    async def observe(
        self,
        pod_id: str,
        volume_names: frozenset[str],
        sure_of: str | None = None,
        *,
        on_pool: bool = False,
    ) -> Observation:
        observed = self._observe(pod_id, volume_names, sure_of)
        return await self._beside_pool(pod_id, observed, on_pool=on_pool)

    async def _beside_pool(
        self, pod_id: str, observed: Awaitable[Observation], *, on_pool: bool
    ) -> Observation:
        """Look at the pool at the same time as at everything else: a command there takes longest."""
        if not on_pool or self.pool is None:
            return await observed
        seen, pool = await asyncio.gather(observed, self.pool.look(pod_id))
        return seen.evolve(pool=pool)

    async def _observe(self, pod_id: str, volume_names: frozenset[str], sure_of: str | None) -> Observation:
        container = await self._container(naming.container_name(pod_id))
        found = () if container is None else (container,)
        mounted = () if container is None else container.volumes.values()
        volumes = await self._volumes.of_pod(pod_id, volume_names, mounted)
        seen = Snapshot.of(found, volumes).pod(pod_id, volume_names)
        if not seen.volumes or self._is_the_pods(pod_id, container, sure_of):
            # A container of the pod holds its volumes: if there are none, there is no container.
            return seen
        labelled = await self._labelled(pod_id)
        return seen.evolve(others=tuple(c for c in labelled if container is None or c.id != container.id))

    async def observe_all(self) -> Snapshot:
        # Thousands of entries as JSON take megabytes. So containers are parsed before volumes are asked for,
        # and each volume's entry is dropped once it is parsed. So this list is not shared with other callers.
        containers = [listed_container(entry) for entry in await self._list_containers()]
        entries = await self._volumes.all()
        volumes = (listed_volume(entries.pop()) for _ in range(len(entries)))
        pool = None if self.pool is None else await self.pool.whole()
        # Not in the event loop, so that questions about single pods are answered meanwhile.
        return await asyncio.to_thread(Snapshot.of, containers, volumes, self._shapes.known(), pool)

    async def read_volumes(
        self, pod_id: str, volume_names: frozenset[str], *, on_pool: bool = False
    ) -> Observation:
        return await self._beside_pool(pod_id, self._read(pod_id, volume_names), on_pool=on_pool)

    async def _read(self, pod_id: str, volume_names: frozenset[str]) -> Observation:
        volumes = await self._volumes.of_pod(pod_id, volume_names)
        return Snapshot.of((), volumes).pod(pod_id, volume_names)

    async def begin_subvolume(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        return await self._given_pool().begin(pod_id, incarnation, image, volumes, limit=limit)

    async def name_subvolume(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        return await self._given_pool().name(pod_id, incarnation, uuid)

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        await self._given_pool().add_directory(pod_id, uuid, name)

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        await self._given_pool().remove_directory(pod_id, uuid, name)

    async def unchanged_directories(
        self, pod_id: str, uuid: str, image_id: str, directories: Mapping[str, ImageDirectory]
    ) -> frozenset[str]:
        image = await self.find_image(image_id)
        if image is None:
            return frozenset()
        return await self._given_pool().unchanged(pod_id, uuid, image, directories)

    async def subvolume_size(self, pod_id: str) -> ObservedSize | None:
        return await self._given_pool().size(pod_id)

    async def limit_subvolume(self, pod_id: str, uuid: str, limit: int) -> None:
        await self._given_pool().limit(pod_id, uuid, limit)

    async def remove_subvolume(self, pod_id: str, uuid: str, incarnation: str | None = None) -> None:
        await self._given_pool().remove(pod_id, uuid, incarnation)

    def _given_pool(self) -> PodPool:
        if self.pool is None:
            raise StorageMissingError("this host has no pool: set PINACLE_POOL to where it is mounted")
        return self.pool

    async def inspect_exit(self, container_id: str) -> Exit:
        return inspected_exit(
            await self._calls.json("container_inspect", "GET", f"containers/{container_id}/json")
        )

    async def changes(self, container_id: str) -> Sequence[Change]:
        path = f"containers/{container_id}/changes"
        found = await self._calls.json("container_changes", "GET", path, deadline_s=self._fill_deadline_s)
        return [Change(path=each["Path"], kind=ChangeKind(each["Kind"])) for each in found or ()]

    async def inspect(self, container_id: str) -> Inspected:
        entry = await self._calls.json("container_inspect", "GET", f"containers/{container_id}/json")
        return Inspected(exit=inspected_exit(entry), mounted=frozenset(inspected_container(entry).volumes))

    async def measure_volumes(self, names: Collection[str]) -> Mapping[str, int | None] | None:
        """Return the bytes that volumes take on the disk, by name; None if this process cannot see them.

        1 call at most, then only the disk is asked, at the lowest priority and for as long as it takes.
        """
        return await measure(await self.data_root() / "volumes", names)

    async def look(self, container: ObservedContainer, places: Collection[str]) -> Look:
        return await self._folders.look(container, await self.changes(container.id), places)

    async def look_at_volumes(self, mounts: Mapping[str, str], places: Collection[str]) -> Look:
        return await self._folders.look_at_volumes(mounts, places)

    async def measure_folders(
        self, source: str | Mapping[str, str], paths: Sequence[str], *, floor_bytes: int
    ) -> Measured:
        async with self._folders.source(source) as container_id:
            return await self._folders.measure(container_id, paths, floor_bytes=floor_bytes)

    async def copy_folder(
        self, source: str | Mapping[str, str], path: str, volume: str, nested: Collection[str]
    ) -> None:
        async with self._folders.source(source) as container_id:
            await self._folders.copy(container_id, path, volume, nested)

    async def inspect_evidence(self, container_id: str) -> Evidence:
        entry = await self._calls.json("container_inspect", "GET", f"containers/{container_id}/json")
        try:
            image = await self._calls.json("image_inspect", "GET", f"images/{entry['Image']}/json")
        except ImageGoneError:
            image = None
        return evidence(entry, image)

    async def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str] = MappingProxyType({})
    ) -> ObservedVolume:
        body = {"Name": name, "Driver": "local", "Labels": dict(labels), "DriverOpts": dict(options)}
        answer = listed_volume(await self._calls.json("volume_create", "POST", "volumes/create", body=body))
        if answer.labels == labels:
            return answer
        # The volume existed. Engine 20.10 then leaves its labels out, unless it made it since its last start.
        return listed_volume(await self._calls.json("volume_inspect", "GET", f"volumes/{name}"))

    async def remove_volume(self, name: str) -> None:
        try:
            await self._remove_volume(name)
        except ConflictError:
            # A worker that was killed while it filled the volume left its filler container behind.
            await self._scratch.remove(naming.filler_name(name))
            await self._remove_volume(name)
        except EngineFailedError as error:
            folder = half_removed(name, error)
            if folder is None:
                raise
            await self._complete(folder, error)
            await self._remove_volume(name)

    async def remove_empty_volume(self, name: str) -> bool:
        place = "/volume"
        async with self._scratch.created(naming.filler_name(name), filler_body(name, place)) as container:
            is_empty = await self._scratch.is_empty(container, place)
        if is_empty:
            await self.remove_volume(name)
        return is_empty

    async def _complete(self, folder: str, error: EngineFailedError) -> None:
        """Give a half-removed volume an empty directory again, so that the Engine can remove the rest."""
        try:
            await self._host_rules.make_directory(folder, "_data")
        except PodError as problem:
            raise EngineFailedError(
                f"{error}. The Engine was killed while it removed this volume, and needs its directory to "
                f"remove the rest: mkdir {folder}/_data on its host, then this goes on by itself ({problem})"
            ) from error

    async def _remove_volume(self, name: str) -> None:
        try:
            await self._calls.json("volume_remove", "DELETE", f"volumes/{name}")
        except ObjectMissingError:
            return

    async def look_at_image(self, image: PinnedImage, paths: Collection[str]) -> ImageShape:
        return await self._shapes.of(image, paths)

    async def prepare_system(
        self, wanted: System, present: Mapping[str, ObservedVolume], *, attempt: str
    ) -> SystemPrepared:
        return await self._system.prepare(wanted, present, attempt=attempt)

    def bases_under_way(self) -> frozenset[str]:
        return self._under_way.names()

    async def fill_layers(self, name: str) -> None:
        await self._layers.fill(name)

    async def create_container(self, request: ContainerRequest) -> ObservedContainer:
        created = await self._on_network(lambda: self._create_pod(request))
        return ObservedContainer(
            id=created,
            name=request.name,
            state=ContainerState.CREATED,
            image_id=request.image_id,
            labels=request.labels,
            volumes={mount.target: mount.source for mount in request.mounts},
            networks=(request.network,),
            network_mode=request.network,
        )

    async def start_container(self, container_id: str) -> None:
        async def start() -> None:
            await self._change("container_start", "POST", container_id, "/start")

        try:
            await self._on_network(start)
        except PodError as error:
            if self.pool is not None and _NOT_MOUNTED in str(error):
                # What its volumes point to is not there: the next look at the pool shows why.
                await self.pool.confirm()
            missing = self._network.missing_id(error)
            if missing is None:
                raise
            await self._network.replace(container_id, missing)
            await start()

    async def unpause_container(self, container_id: str) -> None:
        try:
            await self._change("container_unpause", "POST", container_id, "/unpause")
        except ConflictError as error:
            if "is not paused" not in str(error):
                raise

    async def stop_container(self, container_id: str, timeout_s: int) -> None:
        params = {"t": str(timeout_s)}
        await self._change("container_stop", "POST", container_id, "/stop", params=params)

    async def update_container(self, container_id: str, limits: Limits) -> None:
        await self._change("container_update", "POST", container_id, "/update", body=update_body(limits))

    async def rename_container(self, container_id: str, name: str) -> None:
        try:
            await self._change("container_rename", "POST", container_id, "/rename", params={"name": name})
        except PermanentError as error:
            if "same name as its current name" not in str(error):
                raise

    async def connect_network(self, container_id: str, network: str) -> None:
        await self._network.connect(container_id, network)

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        params = {"force": "1"} if force else None
        try:
            await self._change("container_remove", "DELETE", container_id, "", params=params)
        except ObjectMissingError:
            return

    async def find_image(self, reference: str) -> PinnedImage | None:
        return await self._images.find(reference)

    async def check_registry(self, reference: str, *, pinned: bool = False) -> None:
        await self._images.check_registry(reference, pinned=pinned)

    async def pull_image(
        self, reference: str, *, pinned: bool = False, tell: Tell = tell_nobody
    ) -> PinnedImage:
        return await self._images.pull(reference, pinned=pinned, tell=tell)

    async def network_problem(self) -> str | None:
        """Return why pods could reach each other on their network, None if they cannot. 1 call."""
        return await self._network.problem()

    async def bridge_interface(self) -> str | None:
        """Return the name of the pods' bridge on the Engine's host, None without a network. 1 call."""
        bridge = await self._network.bridge()
        return None if bridge is None else bridge.interface

    async def network_refusal(self) -> str | None:
        return await self._network.known_problem()

    async def ensure_network(self) -> None:
        """Make the network of all pods unless it is there."""
        await self._network.ensure()

    async def began_closed(self) -> bool:
        """Whether pods were kept from the host's own networks since this installation began.

        True for one that begins now. One with pods and no such label is older than the label. 1 to 4 calls.
        """
        bridge = await self._network.bridge()
        if bridge is not None and bridge.egress is not None:
            return bridge.egress == egress.CLOSED
        try:
            name = naming.storage_name(self._installation)
            sentinel = await self._calls.json("volume_inspect", "GET", f"volumes/{name}")
        except ObjectMissingError:
            seen = await self.observe_all()
            return not seen.pod_ids(self._installation)
        return listed_volume(sentinel).labels.get(naming.LABEL_EGRESS) == egress.CLOSED

    def set_egress(self, *, is_closed: bool, allowed: Sequence[str]) -> None:
        """Say what pods may reach: from then on, `ensure_network` applies it before a pod starts."""
        self._network.egress = egress.CLOSED if is_closed else egress.OPEN
        self._allowed = allowed

    async def close_egress_again(self) -> None:
        """Apply the rules again, if there should be any. Raises the error that prevents it."""
        await self._network.close_again()

    async def egress_rules(self, allowed: Sequence[str]) -> str | None:
        """Return the rules for the host's `nft`, None if there is no network yet. 1 call."""
        bridge = await self._network.bridge()
        return None if bridge is None else egress.ruleset(self._installation, bridge.interface, allowed)

    async def reaches(self) -> Collection[str]:
        """Try what a pod on the network reaches: the host, and a cloud's metadata service.

        Raises PermanentError if that cannot be tried, and the errors of the Engine's calls.
        """
        bridge = await self._network.bridge()
        if bridge is None:
            return ()
        gateway = () if bridge.gateway is None else (f"{bridge.gateway}/{egress.UNUSED_PORT}",)
        found = await self._host_rules.dial(self._network_name, (*gateway, f"{egress.METADATA}/80"))
        return [target for target, is_reached in found.items() if is_reached]

    async def _close_egress(self, bridge: Bridge) -> None:
        await self._host_rules.apply(egress.ruleset(self._installation, bridge.interface, self._allowed))

    async def create_mark(self, name: str, labels: Mapping[str, str]) -> str:
        return await self._scratch.create(name, mark_body(labels))

    async def keep_storage(self, installation: str, identity: str, labels: Mapping[str, str]) -> str:
        name = naming.storage_name(installation)
        named = {naming.LABEL_INSTALLATION: installation, naming.LABEL_STORAGE: identity}
        if self._network.egress is not None:
            named[naming.LABEL_EGRESS] = self._network.egress
        made = await self.create_volume(name, named)
        if not made.labels and await self.remove_empty_volume(name):
            # The Engine was killed before it wrote the labels down.
            made = await self.create_volume(name, named)
        kept = made.labels.get(naming.LABEL_STORAGE)
        if kept is None:
            raise ForeignObjectError(
                f"volume {name} has no label {naming.LABEL_STORAGE}: it is not ours. Rename or remove it"
            )
        try:
            await self._scratch.create(name, keeper_body(name, labels))
        except ConflictError as error:
            if "already in use" not in str(error):
                raise
        return kept

    async def close(self) -> None:
        await self._volumes.close()
        for helper in self._helpers:
            await helper.close()
        await self._calls.close()

    async def _on_network(self, do: Callable[[], Awaitable[_T]]) -> _T:
        """Do something that needs the network; if the network makes it fail, repair that and try again."""
        try:
            return await do()
        except PodError as error:
            if not self._network.is_cause_of(error):
                raise
        await self._network.ensure()
        return await do()

    async def _container(self, name: str) -> ObservedContainer | None:
        try:
            entry = await self._calls.json("container_inspect", "GET", f"containers/{name}/json")
        except ObjectMissingError:
            return None
        found = inspected_container(entry)
        # The Engine also finds a container by the first characters of its id.
        return found if found.name == name else None

    def _is_the_pods(self, pod_id: str, container: ObservedContainer | None, sure_of: str | None) -> bool:
        if container is None or container.id != sure_of:
            return False
        owner = container.labels.get(naming.LABEL_INSTALLATION)
        return container.pod_id == pod_id and owner == self._installation

    async def _labelled(self, pod_id: str) -> list[ObservedContainer]:
        """Return the containers whose labels name a pod, whatever their own names are."""
        labels = {naming.LABEL_POD: pod_id, naming.LABEL_INSTALLATION: self._installation}
        filters = json.dumps({"label": [f"{key}={value}" for key, value in labels.items()]})
        params = {"all": "1", "filters": filters}
        entries = await self._calls.json("container_list", "GET", "containers/json", params=params)
        return [listed_container(entry) for entry in entries]

    async def images_of_project(self, project: str) -> Sequence[str]:
        """Return the images of one Compose project's containers, as its file names them. 1 call."""
        filters = json.dumps({"label": [f"com.docker.compose.project={project}"]})
        params = {"all": "1", "filters": filters}
        entries = await self._calls.json("container_list", "GET", "containers/json", params=params)
        return sorted({str(entry["Image"]) for entry in entries})

    async def _list_containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._volumes.listed(
            "containers", "container_list", "containers/json", {"all": "1"}
        )
        return found

    async def _create_pod(self, request: ContainerRequest) -> str:
        seccomp = self._given_pool().seccomp if request.on_pool else None
        if not request.hides_init or not request.spec.init:
            body = create_body(request, init_path=None, seccomp=seccomp)
            return await self._scratch.create(request.name, body)
        init = await self._layers.init()
        try:
            body = create_body(request, init_path=init, seccomp=seccomp)
            return await self._scratch.create(request.name, body)
        except PermanentError as error:
            if init is None or init not in str(error):
                raise
            self._layers.forget()
            raise EngineUnavailableError(f"the Engine's init is not at {init} any more: {error}") from error

    async def _change(self, operation: str, method: str, container_id: str, verb: str, **more: Any) -> None:
        try:
            await self._calls.json(operation, method, f"containers/{container_id}{verb}", **more)
        except ImageGoneError as error:
            raise ObjectMissingError(str(error)) from error
