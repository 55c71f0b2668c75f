"""What the Engine says is true now. Parsed at the border; no raw JSON travels inside."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from worker.pods import naming
from worker.pods.model import PublishedPort
from worker.pods.own_root import Look, Measured
from worker.pods.shape import ImageShape


class ContainerState(StrEnum):
    """As Docker names them."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


ALIVE: Final = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})
"""States in which the container has processes."""


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How a container ended; from an inspect, as the list does not say. Times in seconds since the epoch."""

    code: int
    oom_killed: bool
    started_at: float
    finished_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedContainer:
    id: str
    name: str
    state: ContainerState
    image_id: str
    labels: Mapping[str, str]
    volumes: Mapping[str, str]
    """Mount path to volume name, of volume mounts only."""
    binds: tuple[str, ...] = ()
    """Mount paths of directories and files of the host."""
    exit: Exit | None = None
    """None if it was not asked for, or if the container never ended."""
    networks: tuple[str, ...] | None = None
    """Names of those that it is, or once started will be, attached to; None if that is not known."""
    network_mode: str = ""
    """The network that it was made for."""

    @property
    def pod_id(self) -> str | None:
        return self.labels.get(naming.LABEL_POD)

    @property
    def is_a_pods(self) -> bool:
        """Whether it is what its labels say, a container of a pod.

        An image may have labels like ours, and whatever is made of it inherits them; that has no pod's name
        and mounts nothing of one.
        """
        if self.pod_id is None:
            return False
        own = naming.volume_name(self.pod_id, "")
        return self.name == naming.container_name(self.pod_id) or any(
            name.startswith(own) for name in self.volumes.values()
        )

    @property
    def keeps_base(self) -> str | None:
        """Return the base, whole or not, that this container was made to keep; None for any other.

        By its name as well, which is the base's or the beginning of that: a pod's container inherits what
        labels its image has.
        """
        base = self.labels.get(naming.LABEL_INCARNATION)
        if naming.LABEL_BASE not in self.labels or base is None:
            return None
        return base if base == self.name or base.startswith(f"{self.name}-") else None

    @property
    def spec_hash(self) -> str | None:
        return self.labels.get(naming.LABEL_SPEC_HASH)

    @property
    def has_run(self) -> bool:
        return self.state is not ContainerState.CREATED


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedVolume:
    name: str
    labels: Mapping[str, str]
    mountpoint: str = ""
    """Where the Engine has it, on its own host."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What it was created with, such as type, device and o for a mount."""

    @property
    def incarnation(self) -> str | None:
        return self.labels.get(naming.LABEL_INCARNATION)

    @property
    def unasked(self) -> str | None:
        return self.labels.get(naming.LABEL_UNASKED)

    @property
    def restored(self) -> str | None:
        return self.labels.get(naming.LABEL_RESTORED)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedSize:
    """What a pod has on a pool, in bytes."""

    used: int
    limit: int | None
    """None if nothing limits it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedSubvolume:
    uuid: str
    path: str
    """Where it is on the Engine's host."""
    size: ObservedSize | None = None
    """None if nobody asked."""


@dataclass(frozen=True, kw_only=True)
class OnPool:
    """What the host's pool has of one pod."""

    subvolume: ObservedSubvolume | None = None
    """What has the pod's name."""
    begun: Mapping[str, str] = field(default_factory=dict)
    """Incarnation to UUID of what was made for the pod and has not got its name."""
    problem: str | None = None
    """Why the pool could not be looked at: then nothing is known of what it has."""
    free_bytes: int | None = None
    """What all of its pods together may still write; None if nobody asked."""


@dataclass(frozen=True, kw_only=True)
class WholePool:
    """What the host's pool has of all pods."""

    pods: Mapping[str, OnPool] = field(default_factory=dict)
    """By pod id."""
    templates: frozenset[str] = frozenset()
    """The names of templates, and of what attempts at some have left."""
    problem: str | None = None
    """As in OnPool."""

    def of(self, pod_id: str) -> OnPool:
        """Return what it has of one pod."""
        return self.pods.get(pod_id, OnPool(problem=self.problem))


@dataclass(frozen=True, kw_only=True)
class ImageDirectory:
    """A directory of a pod's subvolume that an image filled."""

    name: str
    """In the subvolume."""
    path: str
    """In the image."""
    hidden: tuple[str, ...] = ()
    """Paths in it that nobody sees, as another volume is mounted there."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Which volumes have what their images had in them: nothing that their owner made, changed or removed."""

    names: frozenset[str]
    """Of the volumes that were compared."""
    unchanged: frozenset[str]
    ended: bool = False
    """Whether no container of the pod had processes that might change something since."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One pod's container, by exact name, and the volumes whose exact names could be this pod's."""

    container: ObservedContainer | None
    volumes: Mapping[str, ObservedVolume]
    others: tuple[ObservedContainer, ...] = ()
    """Other containers whose labels name this pod, whatever their own names are."""
    name_holder: ObservedContainer | None = None
    """Somebody else's container that has the pod's name, while the pod's own has another."""
    volumes_current: bool = True
    """Whether the volumes were read after the container was seen or made: creating makes missing ones."""
    fresh: str | None = None
    """The incarnation that was begun after this observation; its volumes are not leftovers."""
    storages: Mapping[str, str] = field(default_factory=dict)
    """Installation to the identity of its storage, by the sentinel volume that is there."""
    bases: Mapping[str, ObservedVolume] = field(default_factory=dict)
    """The volumes of all bases on the host, by name."""
    look: Look | None = None
    """What was found in the container's own root; None if nobody looked."""
    measured: Measured | None = None
    """What is to be kept of it, measured; None if nobody did."""
    compared: Comparison | None = None
    """Only for a pod on a pool; None if nobody compared."""
    pool: OnPool | None = None
    """None if the host has no pool, or nobody looked."""
    shapes: Mapping[str, ImageShape] = field(default_factory=dict)
    """Image id to what was seen of the image; only of those that were looked at since."""
    ports_taken: tuple[PublishedPort, ...] = ()
    """Host ports that the Engine could not bind, because programs of the host have them."""
    gone_images: frozenset[str] = frozenset()
    """Image ids that, as the Engine said, do not exist. By id: a new intent may bring another image."""

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with `changes`."""
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """The Engine did not say. Never the same as gone."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything on one host, from two list calls: containers first, volumes second."""

    containers: Mapping[str, ObservedContainer]
    """By exact name."""
    by_pod: Mapping[str, tuple[ObservedContainer, ...]]
    """Pod id to the containers that are made for it, whatever their own names."""
    volumes: Mapping[str, ObservedVolume]
    """By exact name."""
    labelled: Mapping[str, frozenset[str]]
    """Pod id to the names of the volumes whose labels and whole name say that they are this pod's."""

    storages: Mapping[str, str]
    """Installation to the identity of its storage."""
    bases: Mapping[str, ObservedVolume]
    """The volumes of all bases, by name."""
    shapes: Mapping[str, ImageShape] = field(default_factory=dict)
    """What is known of images already, by id, so that a pass does not look again for a pod that waits."""
    pool: WholePool | None = None
    """None if the host has no pool, or nobody looked."""

    @classmethod
    def of(
        cls,
        containers: Iterable[ObservedContainer],
        volumes: Iterable[ObservedVolume],
        shapes: Mapping[str, ImageShape] = MappingProxyType({}),
        pool: WholePool | None = None,
    ) -> Self:
        found = tuple(containers)
        by_pod: dict[str, list[ObservedContainer]] = defaultdict(list)
        for container in found:
            if container.pod_id is not None and container.is_a_pods:
                by_pod[container.pod_id].append(container)
        by_name = {volume.name: volume for volume in volumes}
        labelled: dict[str, set[str]] = defaultdict(set)
        for volume in by_name.values():
            pod_id, short = volume.labels.get(naming.LABEL_POD), volume.labels.get(naming.LABEL_VOLUME)
            if pod_id and short and volume.name == naming.volume_name(pod_id, short):
                labelled[pod_id].add(volume.name)
        return cls(
            containers={container.name: container for container in found},
            by_pod={pod_id: tuple(those) for pod_id, those in by_pod.items()},
            volumes=by_name,
            labelled={pod_id: frozenset(names) for pod_id, names in labelled.items()},
            storages=dict(filter(None, map(_storage, by_name.values()))),
            bases={name: volume for name, volume in by_name.items() if naming.LABEL_BASE in volume.labels},
            shapes=shapes,
            pool=pool,
        )

    def pod_ids(self, installation: str) -> frozenset[str]:
        """Return the pods of `installation` to which anything here belongs, by its labels."""
        labels = [container.labels for those in self.by_pod.values() for container in those]
        labels += [volume.labels for volume in self.volumes.values()]
        return frozenset(
            each[naming.LABEL_POD]
            for each in labels
            if naming.LABEL_POD in each and each.get(naming.LABEL_INSTALLATION) == installation
        )

    def pod(self, pod_id: str, volume_names: frozenset[str]) -> Observation:
        """Return what concerns one pod; `volume_names` are the full names that it has or would have."""
        names = volume_names | self.labelled.get(pod_id, frozenset())
        named = self.containers.get(naming.container_name(pod_id))
        return Observation(
            container=named,
            others=tuple(each for each in self.by_pod.get(pod_id, ()) if each is not named),
            volumes={name: self.volumes[name] for name in sorted(names) if name in self.volumes},
            storages=self.storages,
            bases=self.bases,
            pool=None if self.pool is None else self.pool.of(pod_id),
            shapes=self.shapes,
        )


def _storage(volume: ObservedVolume) -> tuple[str, str] | None:
    owner, identity = (volume.labels.get(key) for key in (naming.LABEL_INSTALLATION, naming.LABEL_STORAGE))
    if owner is None or identity is None or volume.name != naming.storage_name(owner):
        return None
    return owner, identity


def is_second(seen: Observation, container_id: str | None) -> bool:
    """Whether a container is another one of the pod, not its own."""
    return any(each.id == container_id for each in seen.others)
