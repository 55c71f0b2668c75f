"""The container that a record asks for: its name, labels, mounts and limits."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from config.layout import SYSTEM_DIRECTORIES
from config.tiers import DEFAULT_TIER, TIERS, Tier
from worker.planner.volumes.mounts import Mounts, Temporary, mount_points
from worker.planner.volumes.pooled.subvolume import is_first, is_pooled, subvolume_labels
from worker.planner.volumes.system import LAYERS, base_mounts, is_overlay, system_label
from worker.pods import naming
from worker.pods.model import Installation, PublishedPort, Record, System, Volume, VolumeClass
from worker.pods.observation import ObservedContainer
from worker.pods.shape import ImageShape
from worker.pods.spec import PodSpec, canonical_hash, public_spec, recreating_part

_GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a tier that the Engine enforces."""

    cpus: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class VolumeMount:
    source: str
    target: str
    no_copy: bool
    """True once the volume is filled: the image never fills a volume twice."""
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerRequest:
    """Everything the Engine has to know to create a pod's container."""

    name: str
    image_id: str
    spec: PodSpec
    hostname: str
    labels: dict[str, str]
    mounts: tuple[VolumeMount, ...]
    hides_init: bool
    """Whether a mount covers the place where the Engine puts its init."""
    unasked_labels: dict[str, str]
    """For a volume that the Engine would make by itself, so that it is recognised and never used."""
    tmpfs: tuple[Temporary, ...]
    ports: tuple[PublishedPort, ...]
    limits: Limits
    runtime: str | None
    network: str
    pids_limit: int
    log_max_size: str
    log_max_files: int
    on_pool: bool = False
    """Whether its volumes are on a pool, whose filesystem knows requests that no pod may make."""


def container_request(record: Record, installation: Installation, shape: ImageShape) -> ContainerRequest:
    """Return what to ask the Engine for, with `shape` of the pinned image.

    Raises ValueError before an image is pinned.
    """
    spec, image = record.intent.spec, record.image
    if spec is None or image is None:
        raise ValueError(f"pod {record.pod_id}: a container needs a spec and a pinned image")
    incarnation = newest_incarnation(record)
    mounts = mount_points(record.state.layout, image, shape)
    return ContainerRequest(
        name=naming.container_name(record.pod_id),
        image_id=image.id,
        spec=spec,
        hostname=spec.hostname or naming.default_hostname(record.pod_id),
        labels={
            naming.LABEL_POD: record.pod_id,
            naming.LABEL_INSTALLATION: installation.name,
            naming.LABEL_INCARNATION: incarnation,
            naming.LABEL_SPEC: json.dumps(public_spec(spec), separators=(",", ":")),
            naming.LABEL_SPEC_HASH: spec_hash(record),
            naming.LABEL_CONFINED: "1",
            naming.LABEL_ENV: json.dumps(list(spec.env)),
            **_system_labels(record.state.system),
            **subvolume_labels(record),
        },
        mounts=(*_mounts(record, mounts), *_base_mounts(record)),
        hides_init=any(_may_hide_init(volume) for volume in record.state.layout),
        unasked_labels={naming.LABEL_UNASKED: incarnation},
        tmpfs=mounts.temporary,
        ports=record.intent.ports,
        limits=limits(spec.tier),
        runtime=spec.runtime or installation.default_runtime,
        network=installation.network,
        pids_limit=installation.pids_limit,
        log_max_size=installation.log_max_size,
        log_max_files=installation.log_max_files,
        on_pool=is_pooled(record.state.system),
    )


def volume_labels(record: Record, volume: Volume, installation: Installation) -> dict[str, str]:
    """Return the labels of a volume that we create."""
    is_system = volume.volume_class is VolumeClass.SYSTEM or is_pooled(record.state.system)
    return (_system_labels(record.state.system) if is_system else {}) | {
        **subvolume_labels(record),
        naming.LABEL_POD: record.pod_id,
        naming.LABEL_VOLUME: volume.name,
        naming.LABEL_PATH: volume.path,
        naming.LABEL_INSTALLATION: installation.name,
        naming.LABEL_INCARNATION: volume.incarnation or "",
        **({naming.LABEL_IMAGE: volume.image} if volume.image is not None else {}),
    }


def limits(tier: str) -> Limits:
    size: Tier = TIERS.get(tier, TIERS[DEFAULT_TIER])
    return Limits(cpus=size.cpus, memory_bytes=size.memory_gib * _GIB)


def spec_hash(record: Record) -> str:
    """Return a digest of everything that cannot change without another container."""
    if record.intent.spec is None or record.image is None:
        raise ValueError(f"pod {record.pod_id}: a spec hash needs a spec and a pinned image")
    parts = {
        "spec": recreating_part(record.intent.spec),
        "image": record.image.id,
        "ports": [[p.container, p.host, p.protocol, p.address] for p in record.intent.ports],
        "layout": [[v.name, v.path, v.incarnation] for v in record.state.layout],
    }
    base = record.state.system.base if record.state.system is not None else None
    return canonical_hash(parts if base is None else {**parts, "base": base})


def is_of_present_spec(record: Record, container: ObservedContainer) -> bool:
    """Whether a container is what the record asks for, or as near to it as a rebuilt record can say."""
    if record.state.recreated_generation < record.intent.recreate_generation:
        return False
    computed, rebuilt = spec_hash(record), record.state.rebuilt
    if rebuilt is not None and computed == rebuilt.computed:
        return container.spec_hash in (computed, rebuilt.borne)
    return container.spec_hash == computed


def newest_incarnation(record: Record) -> str:
    """Return the incarnation of the newest volume we made; empty if all were made by an older system."""
    return next((v.incarnation for v in reversed(record.state.layout) if v.incarnation), "")


def _mounts(record: Record, mounts: Mounts) -> Iterator[VolumeMount]:
    begins_whole = is_pooled(record.state.system) and is_first(record)
    for path, volume in mounts.volumes.items():
        layers = volume.name == LAYERS
        yield VolumeMount(
            source=naming.volume_name(record.pod_id, volume.name),
            target=path,
            # The image fills a volume once (protocol 3). Layers and overlays never: what they show is in
            # them, or below them. Nor what a new pod's subvolume began with.
            no_copy=volume.filled or layers or is_overlay(record.state.system, volume) or begins_whole,
            read_only=layers,
        )


def _base_mounts(record: Record) -> Iterator[VolumeMount]:
    for name, path in base_mounts(record.state.system):
        yield VolumeMount(source=name, target=path, no_copy=True, read_only=True)


def _may_hide_init(volume: Volume) -> bool:
    return volume.volume_class is VolumeClass.SYSTEM or volume.path in SYSTEM_DIRECTORIES


def _system_labels(system: System | None) -> dict[str, str]:
    return {} if system is None else {naming.LABEL_SYSTEM: system_label(system)}
