"""What the reconciler needs from an Engine and a store, and the observer that hears what it does.

One contract suite runs against every Engine and every store.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from worker.planner.container import ContainerRequest, Limits
from worker.planner.fold.results import SystemPrepared
from worker.planner.host.survivors import Evidence
from worker.planner.volumes.unprotected import Change
from worker.pods.model import (
    Intent,
    Phase,
    PinnedImage,
    PodState,
    PublishedPort,
    Record,
    Subvolume,
    System,
)
from worker.pods.observation import (
    Exit,
    ImageDirectory,
    Observation,
    ObservedContainer,
    ObservedSize,
    ObservedSubvolume,
    ObservedVolume,
    OnPool,
    Snapshot,
    WholePool,
)
from worker.pods.own_root import Look, Measured
from worker.pods.shape import ImageShape


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an Engine says about itself."""

    name: str
    api_version: str
    runtimes: frozenset[str]
    data_root: Path
    """Where this process sees the Engine's data root, if it sees it."""
    storage_driver: str
    """The driver that keeps images and containers there, such as `overlay2`."""
    live_restore: bool = False
    """Whether containers outlive a restart of the Engine."""
    user_namespaces: bool = False
    """Whether root in a container is another user on the host."""
    system_time: str = ""
    """Its clock as RFC 3339 has it; empty if it does not say."""
    unlimited: frozenset[str] = frozenset()
    """What its kernel cannot limit: `memory`, `CPU` or `processes`."""
    default_runtime: str | None = None
    """The runtime of containers that name none."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the pull of an image has come."""

    image: str
    """The reference that is pulled."""
    done_bytes: int
    """Compressed, as they are transferred; what the host had before is not among them."""
    total_bytes: int
    """Of the layers whose size is known so far, so it may grow; never less than `done_bytes`."""
    done_layers: int
    """Layers that are unpacked, or that the host had before."""
    total_layers: int


Tell = Callable[[Progress], None]
"""Takes news of a pull; it is called for each line that the Engine sends, so it must be quick."""


def tell_nobody(_progress: Progress) -> None:
    """Ignore news of a pull."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What an inspect says of a container."""

    exit: Exit
    """Of its last run; while that goes on, the code means nothing."""
    mounted: frozenset[str]
    """The paths at which it has volumes."""


class PodPool(Protocol):
    """The pool of an Engine's host. Each method is one idempotent operation with a deadline.

    Unless something else is said, all raise PoolMissingError if it is not mounted, and the errors of commands
    on a pool.
    """

    seccomp: str
    """The seccomp profile for pods on it, as JSON: they may not change the filesystem itself."""

    @property
    def is_open(self) -> bool:
        """Whether it is known which filesystem it is; before that each method says that it is missing."""

    async def examine(self) -> None:
        """Look whether what the host mounts can be a pool, and change nothing. Raises as `open` does."""

    async def open(self, known: str | None) -> str:
        """Look at what the host mounts, make our folders on it, and return the filesystem's UUID.

        `known` is the UUID of the one on which this host has pods, None if that is not known. Raises
        PoolMissingError if another one is there, and PermanentError if it cannot be a pool; both say why.
        """

    async def look(self, pod_id: str) -> OnPool:
        """Return what there is of one pod; of a pool that is not mounted or unfit, that. 1 command."""

    async def confirm(self) -> str | None:
        """Look at what the host mounts now; return why that is not the pool, None if it is. 6 calls.

        Commands run on the filesystem that their container began with: one that the host has unmounted since
        is not found out by them. If that is so, they get another container.
        """

    async def whole(self) -> WholePool:
        """Return what there is of all pods, or why that cannot be told. 6 calls and 1 command."""

    async def begin(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        """See `Engine.begin_subvolume`."""

    async def name(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        """See `Engine.name_subvolume`."""

    async def remove_template(self, name: str) -> None:
        """Remove a template if it is there: pods that began with it keep all that they have. 1 command."""

    async def sync(self) -> None:
        """Return once everything written to it is on the disk. 1 command."""

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """See `Engine.add_directory`."""

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """See `Engine.remove_directory`."""

    async def unchanged(
        self, pod_id: str, uuid: str, image: PinnedImage, directories: Mapping[str, ImageDirectory]
    ) -> frozenset[str]:
        """See `Engine.unchanged_directories`."""

    async def sizes(self) -> Mapping[str, ObservedSize]:
        """Return what all pods keep and may keep, by pod. 1 command, and flat in what they keep."""

    async def size(self, pod_id: str) -> ObservedSize | None:
        """See `Engine.subvolume_size`."""

    async def limit(self, pod_id: str, uuid: str, limit: int) -> None:
        """See `Engine.limit_subvolume`."""

    async def remove(self, pod_id: str, uuid: str, incarnation: str | None) -> None:
        """See `Engine.remove_subvolume`."""


class Engine(Protocol):
    """One Docker Engine. Each method is one idempotent operation with a deadline.

    All raise EngineUnavailableError (cannot be reached, or a 5xx) and OutcomeUnknownError (no answer within
    the deadline, or the connection was cut while waiting for it). Unknown is not gone: only a plain 404
    from the Engine means that something does not exist.
    """

    async def info(self) -> EngineInfo:
        """Return what the Engine says about itself. 1 call."""

    async def observe(
        self,
        pod_id: str,
        volume_names: frozenset[str],
        sure_of: str | None = None,
        *,
        on_pool: bool = False,
    ) -> Observation:
        """Return one pod as it is: an inspect by exact name, then one list of volumes. 2 calls.

        With `on_pool`, also what the host's pool has of it, by one command there.

        `volume_names` are the full names that the pod has or would have. Volumes whose labels and whole name
        say that they are this pod's are found as well. A container that has ended comes with its `exit`.

        If there are volumes, and the container of that name is not our `sure_of`, one more call asks for all
        containers with the pod's labels.
        """

    async def observe_all(self) -> Snapshot:
        """Return everything on the host: one list of containers, then one of volumes. Exactly 2 calls.

        It includes what is known of images from earlier looks.
        """

    async def read_volumes(
        self, pod_id: str, volume_names: frozenset[str], *, on_pool: bool = False
    ) -> Observation:
        """Return the volumes as `observe` does, without the container. 1 call.

        With `on_pool`, also what the pool has, by one command there.
        """

    async def begin_subvolume(
        self, pod_id: str, incarnation: str, image: PinnedImage, volumes: Mapping[str, str], *, limit: int
    ) -> Subvolume:
        """Make a subvolume with what an image has, under a name of its own; it is on the disk then.

        `limit` is in bytes. `volumes` gives each volume's path in the image: that is what its directory
        begins with. 1 command on the pool; for an image's first pod, its template is made. Raises
        PoolMissingError, and the errors of commands on a pool.
        """

    async def name_subvolume(self, pod_id: str, incarnation: str, uuid: str) -> ObservedSubvolume:
        """Give a subvolume that was begun its pod's name, unless it has that. 1 command on the pool.

        Raises PoolMissingError if it is not there, ForeignObjectError if another one has the name.
        """

    async def add_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """Make a directory in a pod's subvolume unless it is there. 1 command on the pool.

        Raises ForeignObjectError if another one has the pod's name.
        """

    async def remove_directory(self, pod_id: str, uuid: str, name: str) -> None:
        """Remove a directory in a pod's subvolume with all that is in it, if it is there.

        1 command on the pool, and 6 calls. Raises ForeignObjectError if another one has the pod's name.
        """

    async def unchanged_directories(
        self, pod_id: str, uuid: str, image_id: str, directories: Mapping[str, ImageDirectory]
    ) -> frozenset[str]:
        """Return the keys of those directories in which nothing is otherwise than the image has it.

        Times do not count. Of an image that is gone, nothing is known to be unchanged. 6 calls and 1 command
        on the pool; for the first time with an image, it is filled from that. Raises ForeignObjectError if
        another one has the pod's name.
        """

    async def subvolume_size(self, pod_id: str) -> ObservedSize | None:
        """Return what a pod keeps on the pool and may keep, None if it is not there. 1 command there."""

    async def limit_subvolume(self, pod_id: str, uuid: str, limit: int) -> None:
        """Change how much a pod may keep, in bytes, running or not. 2 commands on the pool.

        Raises UpdateRefusedError if it keeps more already, and ForeignObjectError if another has its name.
        """

    async def remove_subvolume(self, pod_id: str, uuid: str, incarnation: str | None = None) -> None:
        """Remove a pod's subvolume if it is there, or what was begun for it. 2 commands on the pool.

        Raises ForeignObjectError if another one has its name: that stays.
        """

    async def inspect_exit(self, container_id: str) -> Exit:
        """Return how a container ended. Raises ObjectMissingError if it is gone. 1 call."""

    async def changes(self, container_id: str) -> Sequence[Change]:
        """Return what differs between a container's own root and its image. 1 call.

        Raises ObjectMissingError if it is gone.
        """

    async def inspect(self, container_id: str) -> Inspected:
        """Return what an inspect says of a container, running or not. 1 call. Raises ObjectMissingError."""

    async def look(self, container: ObservedContainer, places: Collection[str]) -> Look:
        """Return what a container holds outside its volumes, directly below `/`, and what is at `places`.

        1 call, and 1 for each path that may be a file or a link. Raises ObjectMissingError if the container
        is gone.
        """

    async def look_at_volumes(self, mounts: Mapping[str, str], places: Collection[str]) -> Look:
        """Return what is at `places` in volumes; `mounts` gives these by the paths where they are mounted.

        2 calls, and at least 1 for each place.
        """

    async def measure_folders(
        self, source: str | Mapping[str, str], paths: Sequence[str], *, floor_bytes: int
    ) -> Measured:
        """Return whether directories of a container can be copied into volumes and leave `floor_bytes` free.

        `source` is the container's id, or gives volumes by the paths where they are mounted. 2 calls, and
        more for each directory if they may not fit. Raises ObjectMissingError.
        """

    async def copy_folder(
        self, source: str | Mapping[str, str], path: str, volume: str, nested: Collection[str]
    ) -> None:
        """Copy everything in a directory of a container into an empty volume, except for the paths `nested`.

        What is on other mounts below it is left out too. 3 calls on the Engine's own disk, otherwise 8.
        Raises CopyFailedError; the volume may then be half filled.
        """

    async def inspect_evidence(self, container_id: str) -> Evidence:
        """Return what a container says about its spec beyond its labels; 2 calls.

        Raises ObjectMissingError if it is gone.
        """

    async def create_volume(
        self, name: str, labels: Mapping[str, str], options: Mapping[str, str] = ...
    ) -> ObservedVolume:
        """Create a local volume; if it exists, return it as it is, with its own labels. 1 call."""

    async def look_at_image(self, image: PinnedImage, paths: Collection[str]) -> ImageShape:
        """Return what an image has at `paths`, and in its `/run`.

        What was seen once is remembered, and takes no call. Otherwise 3 calls, and 1 for each path that was
        not looked at before. Raises ImageGoneError.
        """

    async def prepare_system(
        self, wanted: System, present: Mapping[str, ObservedVolume], *, attempt: str
    ) -> SystemPrepared:
        """Return how a pod's system directories are kept: as `wanted`, as far as image and host allow.

        For `overlay`, the base of `wanted.image` is found among the volumes `present`, or made under a name
        that contains `attempt`, which was never used before. 1 call if there is a base. Raises PermanentError
        if the base has to be made and the image is gone.
        """

    def bases_under_way(self) -> frozenset[str]:
        """Return the names of the bases, and of the looks at images, that this process is making. No call."""

    async def fill_layers(self, name: str) -> None:
        """Make the folders that overlays need in an empty volume. 2 calls."""

    async def remove_volume(self, name: str) -> None:
        """Remove a volume if it exists. Raises ConflictError while it is in use. 1 call."""

    async def remove_empty_volume(self, name: str) -> bool:
        """Remove a volume if it is empty; return whether it is gone. 4 calls.

        Raises ConflictError while it is in use.
        """

    async def sync_volumes(self, *, on_pool: bool = False) -> None:
        """Return once everything written to volumes is on the disk, so that it survives a power cut.

        With `on_pool`, also what was written to the host's pool, by one command there.
        Raises OutcomeUnknownError if the disk fails or does not answer. Behind a forwarded socket, the
        Engine's disk belongs to another kernel, and nothing is promised.
        """

    async def create_container(self, request: ContainerRequest) -> ObservedContainer:
        """Create, without starting; this fills volumes that are mounted without `no_copy`. 1 call, 2 at most.

        The network of `request` is made if the Engine says that it is missing (then: 5 calls at most).
        Raises ConflictError if the name is taken (also by a creation still under way), ImageGoneError if the
        image id does not exist, and PermanentError if it can never work.
        """

    async def start_container(self, container_id: str) -> None:
        """Start, unless it runs. Raises ObjectMissingError, PortTakenError, PermanentError. 1 call.

        If its network was removed since, or made again, it gets the new one (then: 6 calls).
        """

    async def unpause_container(self, container_id: str) -> None:
        """Unpause, if it is paused. Raises ObjectMissingError. 1 call."""

    async def stop_container(self, container_id: str, timeout_s: int) -> None:
        """Stop within `timeout_s`, then kill, if it runs. 1 call.

        Raises ObjectMissingError. A stop that takes longer than a step's deadline raises
        OutcomeUnknownError and goes on in the Engine.
        """

    async def update_container(self, container_id: str, limits: Limits) -> None:
        """Change processors and memory, running or not. Raises ObjectMissingError. 1 call."""

    async def rename_container(self, container_id: str, name: str) -> None:
        """Give a container another name, running or not, unless it has that name. 1 call.

        Raises ObjectMissingError, and ConflictError if another container has the name.
        """

    async def connect_network(self, container_id: str, network: str) -> None:
        """Attach a container to a network, running or not, unless it is attached. 1 call.

        Its published ports answer again. The network of all pods is made if the Engine says that it is
        missing. Raises ObjectMissingError, PortTakenError.
        """

    async def remove_container(self, container_id: str, *, force: bool = False) -> None:
        """Remove a container and nothing else, if it exists. 1 call.

        Raises ConflictError while a removal is under way, or if it runs and `force` is false.
        """

    async def find_image(self, reference: str) -> PinnedImage | None:
        """Return the image as the host has it, None if the host does not have it. 1 call."""

    async def check_registry(self, reference: str, *, pinned: bool = False) -> None:
        """Ask the registry whether the image exists, without pulling it. 1 call.

        It uses the operator's credentials if the reference is `pinned`, the digest of an image that a pod
        has, or if the policy allows them for this image. So does `pull_image`.

        Raises ImageNotFoundError if the image does not exist or may not be read, RegistryUnavailableError if
        the registry cannot be asked.
        """

    async def pull_image(
        self, reference: str, *, pinned: bool = False, tell: Tell = tell_nobody
    ) -> PinnedImage:
        """Pull an image and return it as the host then has it. Raises ImageNotFoundError. 2 calls.

        There is no deadline for the whole pull, only one for silence. `tell` hears of its progress.
        """

    async def network_refusal(self) -> str | None:
        """Return why no new pod may be on the network, such as that pods reach each other there, or None.

        The answer is as last seen: no call if nothing was wrong, otherwise 1.
        """

    async def keep_storage(self, installation: str, identity: str, labels: Mapping[str, str]) -> str:
        """Make the sentinel volume with this identity and the container that keeps it; 2 calls, 4 at most.

        If the volume exists, it stays, and its own identity is returned. The container gets `labels`; if it
        exists, it stays as it is.
        """

    async def create_mark(self, name: str, labels: Mapping[str, str]) -> str:
        """Create a container that holds nothing and is never started; return its id. 1 call, 3 at most.

        Raises ConflictError if the name is taken.
        """

    async def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, kw_only=True)
class ContainerEvent:
    """Something that happened to a pod's container."""

    pod_id: str
    container_id: str
    action: str
    """One of start, die, destroy, pause, unpause, rename, as the Engine names them."""


@dataclass(frozen=True, kw_only=True)
class ContenderEvent:
    """Another store asks for the installation."""

    store: str
    container_id: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended that ran in a container."""

    exit_code: int | None
    """None for one that runs on."""
    timed_out: bool
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a container uses; its own control group and network say so, and None is what they do not say."""

    measured_at: str
    """By the Engine's clock, as RFC 3339 has it."""
    started_at: str
    """When the container was started, by the same clock."""
    cpu_seconds: float
    """Of all processors together, since the container was started."""
    memory_bytes: int | None
    """Without files' pages that the kernel can take back."""
    memory_limit_bytes: int | None
    pids: int | None
    """Processes and threads."""
    pids_limit: int | None
    network_received_bytes: int
    network_sent_bytes: int
    block_read_bytes: int | None
    """From disks; what came from the kernel's cache does not count."""
    block_written_bytes: int | None


class Meter(Protocol):
    """Measures containers."""

    async def usage(self, container_id: str, *, deadline_s: float) -> Usage:
        """Return what a container uses now. 2 calls.

        Raises ObjectMissingError, and NotRunningError if it does not run.
        """


class Streams(Protocol):
    """Input and output of containers, unchanged: nothing is masked."""

    async def given_values(self, container_id: str) -> Sequence[str]:
        """Return the values of the container's `env` that are not its image's. Raises ObjectMissingError."""

    async def logs(self, container_id: str, *, tail: int, since: float | None, most_bytes: int) -> bytes:
        """Return the last `tail` lines that a container printed after `since`, in seconds since the epoch.

        These are at least the last `most_bytes`, and enough before that for a value of `env`. Raises
        ObjectMissingError.
        """

    async def execute(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        user: str | None,
        timeout_s: float,
        most_bytes: int,
    ) -> Ended:
        """Run a command and wait `timeout_s` seconds for it; if it takes longer, it goes on in the container.

        Returns at least the first `most_bytes` of what it prints, and enough after that for a value of
        `env`. Raises ObjectMissingError, ConflictError if the container does not run, OutputTooLongError if
        the command prints too much, and OutcomeUnknownError.
        """


class EventSource(Protocol):
    """The Engine's event stream."""

    def subscribed(self) -> AbstractAsyncContextManager[AsyncIterator[ContainerEvent | ContenderEvent]]:
        """Subscribe: what happens after this is entered is delivered, in the Engine's order.

        EngineUnavailableError is raised if this cannot be entered, and by the iteration when the stream ends.
        What happened before has to be found by a pass that begins after this was entered.
        """


class Lease(Protocol):
    """The fenced, expiring, exclusive right to change one pod; it renews itself until it is released."""

    @property
    def token(self) -> int:
        """A number that grows with every lease; a write with an older one is refused."""

    def remaining(self) -> float:
        """Return seconds until it expires unless it is renewed; 0 or less once it is lost."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An intent to be accepted, if the pod's generation is still `expected_generation`."""

    pod_id: str
    task_id: str
    expected_generation: int
    """0 for a pod without a record."""
    host: str
    intent: Intent
    """Its `generation` is one above the expected."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The answer to a proposal that became, or had become, the intent."""

    generation: int
    seen_before: bool
    """Whether this task id had already set an intent; then nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """What a pod has on the disk, as it was measured last."""

    used: int
    """Bytes."""
    measured_at: float
    """Seconds since the epoch."""
    limit: int | None = None
    """Bytes, on a pool; None where nothing limits it."""


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What a store has besides records."""

    store: str
    """The store's id. It is lost together with the records, and the next store has another one."""
    storages: Mapping[str, str]
    """Host to the identity of the storage that holds its pods."""


class Store(Protocol):
    """The durable records. All methods raise StoreUnavailableError."""

    async def load(self, pod_id: str) -> Record | None:
        """Return the record or tombstone. One round trip.

        If it cannot be read, `unreadable` says why; that never keeps others from being read.
        """

    async def load_host(self, host: str) -> dict[str, Record]:
        """Return all records and tombstones of one host. A constant number of round trips."""

    async def count_host(self, host: str) -> int:
        """Return how many records and tombstones one host has. This is quick however many there are."""

    async def load_all(self) -> dict[str, Record]:
        """Return all records and tombstones. A constant number of round trips."""

    async def pod_ids(self) -> Sequence[str]:
        """Return the ids of all records and tombstones, sorted; a tombstone may have expired since."""

    async def load_some(self, pod_ids: Sequence[str]) -> dict[str, Record]:
        """Return those records and tombstones of these ids that there are. One round trip."""

    async def accepted_generation(self, task_id: str) -> int | None:
        """Return the generation that this task id has set before, None if it has not."""

    async def accept(self, proposal: Proposal) -> Accepted:
        """Set the intent and remember the task id, in one script.

        Raises GenerationConflictError if the generation moved on, PortTakenError (naming port and pod) if a
        host port is reserved by another pod of that host. Reserves `intent.ports`, gives back those that the
        pod no longer asks for, and keeps the reservations through stop and update.
        """

    async def storage(self, host: str) -> str | None:
        """Return the identity of the storage that holds a host's pods, None before it is noted."""

    async def storages(self) -> Mapping[str, str]:
        """Return host to the identity of the storage that holds its pods. One round trip."""

    async def set_storage(self, host: str, identity: str) -> None:
        """Note the identity of the storage that holds a host's pods."""

    async def pool(self, host: str) -> str | None:
        """Return the UUID of the pool that holds a host's pods, None before it is noted."""

    async def set_pool(self, host: str, uuid: str) -> None:
        """Note which pool holds a host's pods."""

    async def noted(self) -> Noted:
        """Return the notes about the store itself and its hosts; if the store has no id, it gets one now.

        One round trip.
        """

    async def note_contender(self, host: str, text: str) -> None:
        """Note for a day what a person has to know about another store that asked for this installation."""

    async def rename_host(self, old: str, new: str, identity: str) -> int | None:
        """Give all records, host ports and the storage `identity` of a host to another, in one script.

        Returns how many records these were; None, having written nothing, if `old` has a fresh heartbeat
        or one of the two has another storage. A port that is reserved on `new` already stays reserved.
        """

    async def reported_hosts(self) -> frozenset[str]:
        """Return the hosts whose pods the store knows; none of them in a store that is new or was lost."""

    async def report_host(self, host: str) -> None:
        """Note that the store knows all pods of this host."""

    async def move_ports(self, record: Record, ports: Sequence[PublishedPort], lease: Lease) -> None:
        """Give the current intent of a pod other host ports and reserve them, in one script.

        Raises LeaseLostError, GenerationConflictError if another intent was accepted meanwhile, and
        PortTakenError if another pod has reserved one of them; then nothing was written.
        """

    async def reserved_ports(self, host: str) -> Sequence[tuple[PublishedPort, str]]:
        """Return all reserved host ports of a host with their pods (`container` is not kept: 0)."""

    async def port_owners(
        self, host: str, ports: Sequence[PublishedPort]
    ) -> Sequence[tuple[PublishedPort, str]]:
        """Return which of these ports of a host are reserved, with their pods. One round trip.

        The work does not grow with the number of other reservations.
        """

    async def save(self, record: Record, lease: Lease) -> None:
        """Write the state, if the lease is the newest and has not expired; announce a change of phase.

        Otherwise it raises LeaseLostError, and RecordUnreadableError for a record that could not be read, and
        writes nothing. If everything of a pod is removed and its intent is still `deleted`, its host ports
        become free.
        """

    async def lease(self, pod_id: str) -> Lease:
        """Take the lease. Raises LeaseHeldError while another has it, or its last step may still run."""

    async def release(self, pod_id: str, lease: Lease) -> None:
        """Give the lease back at once, if it is still ours."""

    def abandon(self, lease: Lease) -> None:
        """Stop renewing it: others get it once it has expired and its last step has ended."""

    async def count_attempt(self, task_id: str) -> int:
        """Count that a message was taken once more; return how often it was taken.

        If its request was accepted, only what came after that counts.
        """

    async def begin_once(self, task_id: str) -> bool:
        """Note that what a task asks for begins, durably; false if that was noted before, in seven days."""

    async def tell_progress(self, record: Record, progress: Progress, *, is_news: bool) -> None:
        """Note for a few seconds how far a pod's pull has come; if that `is_news`, tell its followers too."""

    async def note_uses(self, host: str, uses: Mapping[str, DiskUse], keep_s: float) -> None:
        """Note for so many seconds what the pods of a host have on the disk, in place of what was noted."""

    async def uses(self, hosts: Collection[str]) -> Mapping[str, DiskUse]:
        """Return what is noted of the pods of these hosts. One round trip."""

    async def use(self, host: str, pod_id: str) -> DiskUse | None:
        """Return what is noted of one pod, None if nothing is. One round trip."""

    async def forget_progress(self, pod_id: str) -> None:
        """Note that a pod's pull has ended."""

    async def progress(self, pod_id: str) -> Progress | None:
        """Return how far a pod's pull has come, None if nothing is pulled for it. One round trip."""

    async def beat_heart(self, host: str) -> bool:
        """Report that a worker of this host is alive; false if another one of it has done so meanwhile."""

    async def stop_heart(self, host: str) -> None:
        """Report that a worker of this host ends; another worker of the same host reports again soon."""

    async def live_hosts(self) -> frozenset[str]:
        """Return the hosts whose heartbeat is fresh."""

    async def wait_for_change(self, pod_id: str, known: PodState, timeout_s: float) -> None:
        """Return when the pod's state differs from `known`, its lease is released, or time is up."""

    async def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """How one reconcile ended."""

    seconds: float
    """How long it took."""
    since_found_s: float
    """Seconds since it was noticed that the pod needs something."""
    record: Record | None = None
    """The record afterwards; None if the reconcile broke off with `error` and nothing could be recorded."""
    before: PodState | None = None
    """The pod's state when it began."""
    steps: tuple[str, ...] = ()
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class PassReport:
    """How one complete pass ended."""

    began: float
    """By the monotonic clock."""
    seconds: float
    phases: Mapping[Phase, int]
    """Number of pods and tombstones of the host in each phase, after the repairs; without empty phases."""
    storage_accepted: bool
    """Whether the host's storage is its own."""
    told: Mapping[str, str | int | float]
    """The answer to the caller that asked for the pass."""


class Observer(Protocol):
    """Hears what happens and changes nothing. It is called in the event loop, so it must be quick."""

    def engine_asked(self, call: str) -> None:
        """Note that a request is sent to the Engine; `call` is its kind."""

    def engine_answered(self, call: str, seconds: float, error: Exception | None) -> None:
        """Note, for most requests, how long the Engine took and how it failed."""

    def stream_connected(self) -> None:
        """Note that the Engine's event stream is connected."""

    def stream_disconnected(self) -> None:
        """Note that it is no longer connected."""

    def step_ended(self, step: str, error: Exception | None) -> None:
        """Note how one step ended."""

    def reconciling(self, pod_id: str) -> AbstractContextManager[object]:
        """Return a context for one reconcile; `reconciled` is called within it."""

    def reconciled(self, news: Reconciled) -> None:
        """Note how a reconcile ended."""

    def passing(self) -> AbstractContextManager[object]:
        """Return a context for one pass; if the pass is completed, `pass_ended` is called within it."""

    def pass_ended(self, report: PassReport) -> None:
        """Note how a pass ended."""


class Unobserved:
    """Ignores everything. An observer that needs only a few of these calls derives from it."""

    def engine_asked(self, call: str) -> None: ...
    def engine_answered(self, call: str, seconds: float, error: Exception | None) -> None: ...
    def stream_connected(self) -> None: ...
    def stream_disconnected(self) -> None: ...
    def step_ended(self, step: str, error: Exception | None) -> None: ...
    def reconciled(self, news: Reconciled) -> None: ...
    def pass_ended(self, report: PassReport) -> None: ...

    def reconciling(self, pod_id: str) -> AbstractContextManager[object]:
        return nullcontext(pod_id)

    def passing(self) -> AbstractContextManager[object]:
        return nullcontext()


UNOBSERVED: Final = Unobserved()
