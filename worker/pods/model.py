"""Intent, record and what they are made of. An observation is another type, in `observation`."""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import ConfigDict, SerializerFunctionWrapHandler, TypeAdapter, model_serializer
from pydantic.dataclasses import dataclass

from config.phases import RESTING_PHASES as RESTING_PHASES  # noqa: PLC0414 - a part of the model
from config.phases import IntentKind as IntentKind  # noqa: PLC0414
from config.phases import Phase as Phase  # noqa: PLC0414
from config.tiers import DEFAULT_TIER, TIER_STORAGE
from worker.pods.spec import PodSpec, Protocol


class VolumeClass(StrEnum):
    UNIVERSAL = "universal"
    DECLARED = "declared"
    SYSTEM = "system"


class _Evolving:
    def evolve(self, **changes: Any) -> Self:
        """Return a copy with `changes`."""
        return replace(self, **changes)  # type: ignore[type-var]  # every subclass is a dataclass


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="allow"))
class _Recorded(_Evolving):
    """A part of a record. Keys that a newer worker wrote and this one does not know are kept.

    So a fleet can be updated worker by worker, and back again, without losing what the newer ones noted.
    """

    def evolve(self, **changes: Any) -> Self:
        evolved = super().evolve(**changes)
        vars(evolved).update(_unknown(self))
        return evolved

    @model_serializer(mode="wrap")
    def _with_unknown(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = dump(self)
        return plain | _unknown(self)


def _unknown(value: _Recorded) -> dict[str, Any]:
    """Return what was read into it beyond its own fields."""
    own, known = vars(value), type(value).__dataclass_fields__
    return {} if len(own) == len(known) else {key: own[key] for key in own.keys() - known.keys()}


def newer_keys(part: _Recorded) -> frozenset[str]:
    """Return the keys that this version does not know, in a part of a record and in its own parts."""
    found = set(_unknown(part))
    for value in vars(part).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, _Recorded):
                found |= newer_keys(inner)
    return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class PinnedImage(_Recorded):
    """An image as found on the host, so that the pod never moves to another by itself (protocol 12)."""

    reference: str
    id: str
    repo_digest: str | None = None
    """`name@sha256:…`; an imported or locally built image has none."""
    volumes: tuple[str, ...] = ()
    """The paths of the image's VOLUME lines."""


class SystemMode(StrEnum):
    """How a pod's system directories are kept; see `config.layout.SYSTEM_DIRECTORIES`."""

    OVERLAY = "overlay"
    """What the pod changes is a layer over a base that all pods of an image share."""
    COPY = "copy"
    """The pod has a whole copy of what the image has there."""
    OFF = "off"
    """They are the container's, and are lost with it."""
    POOL = "pool"
    """They are in the pod's subvolume on the host's pool, as is everything else that it keeps."""


@dataclass(frozen=True, kw_only=True)
class System(_Recorded):
    """How one pod's system directories are kept. Decided at its creation, and for good."""

    mode: SystemMode
    image: PinnedImage
    """What they were filled with, whatever image the pod was updated to since."""
    directories: tuple[str, ...] = ()
    base: str | None = None
    """Name of the base below the pod's own layers; only for `overlay`."""


@dataclass(frozen=True, kw_only=True)
class Subvolume(_Recorded):
    """The subvolume that holds all of one pod's data. Noted at its creation, and for good."""

    uuid: str
    """Another one that has the pod's name is not the pod's data."""
    pool: str
    """UUID of the filesystem that it is on."""
    incarnation: str
    """The creation that made it: volumes of later ones have directories of other names."""


@dataclass(frozen=True, kw_only=True)
class PublishedPort:
    """A published port with its host port settled."""

    container: int
    host: int
    protocol: Protocol
    address: str


@dataclass(frozen=True, kw_only=True)
class Volume(_Recorded):
    """One entry of a pod's layout, as recorded."""

    name: str
    path: str
    volume_class: VolumeClass
    incarnation: str | None
    """The creation that made it, as its label says; None for one that an older system made without labels."""
    filled: bool
    """False from the moment its creation is planned until the image has filled it for good."""
    image: str | None = None
    """Id of the image that filled it; None if that is not known, or if it was not an image."""
    restored: str | None = None
    """The mark of the volume that a person made for a lost one, once confirmed to have its data."""
    copied_from: str | None = None
    """Id of the container whose directory it was filled with; while that is there, it is a mere copy."""


@dataclass(frozen=True, kw_only=True)
class Intent(_Recorded):
    """What should be true of a pod. Accepted once, in the order of `generation`."""

    kind: IntentKind
    generation: int
    spec: PodSpec | None
    """None only for the deletion of a pod that was never recorded."""
    image: PinnedImage | None = None
    """The spec's image, if the host had it when the intent was accepted."""
    replaced_image: str | None = None
    """Id of the pinned image that was gone when the intent was accepted: `image` stands in for it."""
    ports: tuple[PublishedPort, ...] = ()
    force: bool = False
    """Restart the container even if it is healthy."""
    adopt: bool = False
    """Replace a foreign container that has the pod's name and mounts the pod's volumes."""
    discard: tuple[str, ...] = ()
    """Paths whose content in the container is replaced by the next image's instead of being kept."""
    discard_generation: int = 0
    """The generation that gave them up; the next container uses it up."""
    recreate_generation: int = 0
    """The last generation that asked for another container although this one is of the present spec."""
    accepted_at: float = 0.0
    """Seconds since the epoch; after a loss of all containers, pods that were used last come back first."""
    created_at: str | None = None
    """When the pod was first asked for, as RFC 3339 has it; None if that is not known."""
    unsure: tuple[str, ...] = ()
    """Keys of the spec that were not certain when the record was rebuilt from its container."""
    changed: tuple[str, ...] = ()
    """Keys of the spec that an update made different."""
    changed_generation: int = 0
    """The generation that did so."""
    purge_generation: int = 0
    """Generation of the last accepted deletion; what is older is removed before anything new is made."""
    unknown: bool = False
    """Whether this is the deletion of an id of which there was no record."""
    reason: str | None = None
    """Why the worker itself had the pod stopped; None if somebody asked for it."""


@dataclass(frozen=True, kw_only=True)
class Crash(_Evolving):
    """The last unexpected end of a pod's container, and how many there were in a row."""

    run: int
    """Which start this was the end of: `PodState.starts` at the time."""
    count: int
    exit_code: int
    oom_killed: bool
    next_try_at: float
    """Seconds since the epoch."""
    at_once: bool = False
    """Whether it had run for a few seconds at most."""
    known: bool = True
    """Whether it was seen how it ended; the exit code of a container that was gone means nothing."""


@dataclass(frozen=True, kw_only=True)
class SentStop(_Evolving):
    """A stop that was sent to the Engine, or was about to be: the Engine goes on with it by itself."""

    container_id: str
    run: int
    """Which start it is the end of: `PodState.starts` at the time."""
    sent_at: float
    """Seconds since the epoch."""
    timeout_s: int


@dataclass(frozen=True, kw_only=True)
class Failure(_Evolving):
    """How a step failed, and how often in a row it did so in the same words."""

    step: str
    text: str
    """Without the parts that differ each time, such as ids."""
    generation: int
    """The intent that met it; a new one starts the count again."""
    count: int


@dataclass(frozen=True, kw_only=True)
class Rebuilt(_Evolving):
    """A container that stays although a rebuilt record gives another digest than its label."""

    computed: str
    """What the rebuilt record computes; with another spec it computes another."""
    borne: str


@dataclass(frozen=True, kw_only=True)
class PodState(_Recorded):
    """What we know and must not forget about a pod besides its intent. Written under the lease only."""

    phase: Phase = Phase.PENDING
    reason: str | None = None
    """What a pending pod waits for, or what went wrong."""
    kind: str | None = None
    """What kind of error `reason` is, if it failed; None from a worker that did not note it. A newer one may
    write kinds that are not known here."""
    container_id: str | None = None
    seconds: tuple[str, ...] = ()
    """Ids of other containers of this pod, as last seen: while there are any, all are looked for."""
    image: PinnedImage | None = None
    layout: tuple[Volume, ...] = ()
    settled_generation: int = 0
    """The last intent that was reached; a container that ends afterwards ended unexpectedly."""
    purged_generation: int = 0
    failed_generation: int = 0
    """The intent that met a permanent error and is not tried again before `retry_at`."""
    failed_reason: str | None = None
    """Why it did; `reason` may be about something later."""
    failed_kind: str | None = None
    """The kind of `failed_reason`."""
    retry_at: float = 0.0
    """Seconds since the epoch; 0 for at once."""
    missing_generation: int = 0
    """The last intent under which a volume was missing: it came before the data could be back."""
    errors: int = 0
    """Failed attempts in a row, for the back-off between them."""
    tier: str | None = None
    """The tier that the container was last given; a live update changes it."""
    starts: int = 0
    system: System | None = None
    """None before it is decided, and for a pod that was made before there were system volumes."""
    subvolume: Subvolume | None = None
    """Only for a pod on a pool, from the moment that it is made."""
    whole_for: str | None = None
    """Id of the image all of whose volumes are in the layout, also where links leave one to another."""
    restarts: int = 0
    """Starts that nobody asked for: after a crash, or of a container that was lost."""
    crash: Crash | None = None
    failure: Failure | None = None
    """The last failure that may be this pod's own; outages count for nothing."""
    rebuilt: Rebuilt | None = None
    stop: SentStop | None = None
    """The last stop whose end was not seen yet."""
    remains: bool = False
    """Whether the deletion of an unknown id found something that had the pod's names."""
    kept: tuple[str, ...] = ()
    """The paths that last got volumes with what a replaced container had."""
    kept_generation: int = 0
    """The intent under which they did."""
    outdated: tuple[Volume, ...] = ()
    """Volumes of a pod on a pool that another image has filled anew; what was in them is to be removed."""
    discarded_generation: int = 0
    """The last `Intent.discard_generation` whose container was made."""
    recreated_generation: int = 0
    """The last `Intent.recreate_generation` whose container was made."""

    @property
    def initialised(self) -> bool:
        """Whether all volumes were filled: only then may the pod be started."""
        return bool(self.layout) and all(volume.filled for volume in self.layout)


@dataclass(frozen=True, kw_only=True)
class Unreadable(_Evolving):
    """What the store has of a pod cannot be read, so nothing follows from it."""

    reason: str
    """Which field, what is wrong with it, and what to do."""
    only_spec: bool
    """Whether nothing but the spec is wrong: another one may be given."""


@dataclass(frozen=True, kw_only=True)
class Record(_Evolving):
    """The durable note about one pod."""

    pod_id: str
    host: str
    intent: Intent
    state: PodState = PodState()
    storage: str | None = None
    """Identity of the storage that holds the pods of this host, as noted in the store; None before that."""
    unreadable: Unreadable | None = None
    """If set, intent and state may be shown and are of no other use. It is never written."""

    @property
    def purging(self) -> bool:
        """Whether a deletion was accepted whose removals are not finished."""
        return self.intent.purge_generation > self.state.purged_generation

    @property
    def exists(self) -> bool:
        """Whether this is a pod, rather than the tombstone of one."""
        return self.intent.kind is not IntentKind.DELETED

    @property
    def existed(self) -> bool:
        """Whether there is, or ever was, such a pod: the deletion of an unknown id leaves a tombstone too."""
        return not self.intent.unknown or self.state.remains

    @property
    def image(self) -> PinnedImage | None:
        """The pinned image of the present spec, None while it has to be found."""
        if self.intent.spec is None:
            return None
        pinned = self.state.image
        if pinned is None or pinned.reference != self.intent.spec.image:
            return self.intent.image
        return self.intent.image if pinned.id == self.intent.replaced_image else pinned


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What all pods of one installation share."""

    name: str
    network: str
    default_runtime: str | None = None
    pids_limit: int = 4096
    log_max_size: str = "10m"
    log_max_files: int = 3
    system_volumes: SystemMode = SystemMode.OVERLAY
    """For new pods."""
    min_free_mb: int = 0
    """What copying must leave free on the Engine's disk."""
    tier_storage: Mapping[str, int] = field(default_factory=lambda: TIER_STORAGE)
    """Bytes that a pod may keep, by tier."""

    def storage_limit(self, tier: str) -> int:
        """Return how many bytes a pod of a tier may keep; one that is not in the table has the smallest."""
        return self.tier_storage.get(tier, self.tier_storage[DEFAULT_TIER])


INTENT: Final = TypeAdapter(Intent)
SYSTEM: Final = TypeAdapter(System)
SUBVOLUME: Final = TypeAdapter(Subvolume)
STATE: Final = TypeAdapter(PodState)
