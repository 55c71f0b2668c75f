"""A pod as its container shows it, for a store that was lost."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from config.layout import BASES_PATH, SYSTEM_DIRECTORIES
from config.tiers import TIERS
from worker.errors import InvalidInputError
from worker.planner.container import Limits, limits, spec_hash
from worker.planner.volumes.mounts import recorded_paths
from worker.planner.volumes.pooled.subvolume import labelled_subvolume
from worker.planner.volumes.system import labelled_system
from worker.pods import naming
from worker.pods.layout import wanted_layout
from worker.pods.model import (
    Intent,
    IntentKind,
    Phase,
    PinnedImage,
    PodState,
    PublishedPort,
    Rebuilt,
    Record,
    System,
    SystemMode,
    Volume,
    VolumeClass,
)
from worker.pods.observation import ALIVE, ObservedContainer, ObservedVolume
from worker.pods.parsing import read_spec
from worker.pods.spec import PodSpec

ALWAYS_UNSURE = ("restart", "stop_timeout_s", "labels", "description")
"""Keys of a spec that change without another container, and are nowhere on the Engine then."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What only an inspect of the container and of its image shows."""

    env: tuple[str, ...]
    """`NAME=value`, as the container has it: first what it was given, then the rest of its image's own."""
    image_env: tuple[str, ...] | None
    """The image's own; None if the image is gone from the host."""
    ports: tuple[PublishedPort, ...]
    mounts: tuple[tuple[str, str], ...]
    """Path and volume of each mount, in the order in which they were asked for."""
    limits: Limits
    image: PinnedImage | None
    """None if the image is gone from the host."""


def rebuilt_record(
    host: str, container: ObservedContainer, evidence: Evidence, volumes: Mapping[str, ObservedVolume]
) -> Record:
    """Return the record of a pod whose container has our labels.

    Its intent is what it does: to run if it runs, otherwise to be stopped. Nothing that would remove anything
    follows, and the container stays even if keys of the spec are uncertain: `Intent.unsure` names them.
    Raises InvalidInputError if the labels do not hold a spec.
    """
    label = _labelled_spec(container)
    records = (
        _record(host, container, evidence, volumes, read_spec({**label, "env": env}))
        for env in _possible_envs(container, evidence)
    )
    record = first = next(records)
    while spec_hash(record) != container.spec_hash:
        other = next(records, None)
        if other is None:
            return _left_alone(first, container)
        record = other
    return record


def _left_alone(record: Record, container: ObservedContainer) -> Record:
    """Let the container count as made of this spec, although its label has another digest."""
    rebuilt = Rebuilt(computed=spec_hash(record), borne=container.spec_hash or "")
    unsure = record.intent.unsure
    if naming.LABEL_ENV not in container.labels:
        unsure = (*unsure, "env")
    return record.evolve(
        intent=record.intent.evolve(unsure=unsure), state=record.state.evolve(rebuilt=rebuilt)
    )


def _labelled_spec(container: ObservedContainer) -> dict[str, Any]:
    try:
        label = json.loads(container.labels.get(naming.LABEL_SPEC, "null"))
    except ValueError as error:
        raise InvalidInputError(f"label {naming.LABEL_SPEC} of {container.name} is not JSON") from error
    if not isinstance(label, dict):
        raise InvalidInputError(f"label {naming.LABEL_SPEC} of {container.name} is no object")
    return label


def _possible_envs(container: ObservedContainer, evidence: Evidence) -> Iterator[dict[str, str]]:
    """Yield what may have been given to the container, the most likely first.

    The Engine puts what was given before the rest of the image's variables. So it is the first part of the
    whole, and ends at or after the last entry that is not the image's.
    """
    entries = [(name, value) for name, _, value in (entry.partition("=") for entry in evidence.env)]
    names = container.labels.get(naming.LABEL_ENV)
    if names is not None:
        given = frozenset(json.loads(names))
        yield {name: value for name, value in entries if name in given}
        return
    own = frozenset(evidence.image_env or ())
    foreign = [number for number, entry in enumerate(evidence.env) if entry not in own]
    least = foreign[-1] + 1 if foreign and evidence.image_env is not None else 0
    for length in range(least, len(entries) + 1):
        yield dict(entries[:length])


def _record(
    host: str,
    container: ObservedContainer,
    evidence: Evidence,
    volumes: Mapping[str, ObservedVolume],
    labelled: PodSpec,
) -> Record:
    runs = container.state in ALIVE
    tier = _tier(labelled.tier, evidence.limits)
    spec = labelled if tier is None else replace(labelled, tier=tier)
    system = _system(container)
    image = evidence.image or PinnedImage(reference=spec.image, id=container.image_id)
    image = image.evolve(reference=spec.image)
    return Record(
        pod_id=container.pod_id or "",
        host=host,
        intent=Intent(
            kind=IntentKind.RUNNING if runs else IntentKind.STOPPED,
            generation=1,
            spec=spec,
            image=image,
            ports=_ports(spec, evidence),
            unsure=ALWAYS_UNSURE if tier is not None else (*ALWAYS_UNSURE, "tier"),
        ),
        state=PodState(
            phase=Phase.RUNNING if runs else Phase.STOPPED,
            container_id=container.id,
            image=image,
            layout=_layout(container, evidence, volumes, system),
            system=system,
            subvolume=labelled_subvolume(container.labels),
            settled_generation=1,
            tier=spec.tier,
            starts=1,
            whole_for=image.id,
        ),
    )


def _tier(labelled: str, given: Limits) -> str | None:
    """Return the tier whose limits the container has now, as limits change live; None if no tier has them."""
    names = sorted(TIERS, key=lambda name: name != labelled)
    return next((name for name in names if limits(name) == given), None)


def _ports(spec: PodSpec, evidence: Evidence) -> tuple[PublishedPort, ...]:
    """Return what is published, in the order of the spec."""
    asked = [(port.container, port.protocol, port.address) for port in spec.ports]

    def place(port: PublishedPort) -> int:
        key = (port.container, port.protocol, port.address)
        return asked.index(key) if key in asked else len(asked)

    return tuple(sorted(evidence.ports, key=place))


def _system(container: ObservedContainer) -> System | None:
    """Return how the pod's system directories are kept, None for one that is older than that.

    It mounts no volume of its own there, and whatever its label says it has from its image.
    """
    prefix = naming.volume_name(container.pod_id or "", "")
    own = {f"{prefix}{naming.system_volume(path)}" for path in SYSTEM_DIRECTORIES}
    is_kept = not own.isdisjoint(container.volumes.values())
    try:
        system = labelled_system(container.labels)
    except InvalidInputError:
        if is_kept:
            raise
        return None
    if system is not None and system.directories and not is_kept:
        return None
    if system is None or system.mode is not SystemMode.OVERLAY or not system.directories:
        return system
    directory = system.directories[0]
    name = container.volumes.get(f"{BASES_PATH}{directory}", "")
    return system.evolve(base=name.removesuffix(f"-{naming.system_volume(directory)}") or None)


def _layout(
    container: ObservedContainer,
    evidence: Evidence,
    volumes: Mapping[str, ObservedVolume],
    system: System | None,
) -> tuple[Volume, ...]:
    """Return the layout in the order in which it was made, which is also that of the container's mounts."""
    prefix = naming.volume_name(container.pod_id or "", "")
    own = {path: name for path, name in container.volumes.items() if name.startswith(prefix)}
    paths = recorded_paths({path: name.removeprefix(prefix) for path, name in own.items()})
    for short in paths:
        seen = volumes.get(f"{prefix}{short}")
        paths[short] = (seen.labels.get(naming.LABEL_PATH) if seen is not None else None) or paths[short]
    wanted = wanted_layout(sorted(paths.values()), system)
    classes = dict(wanted.values())
    order: dict[str, int] = {}
    for name in [name for _, name in evidence.mounts] or [f"{prefix}{short}" for short in classes]:
        order.setdefault(name.removeprefix(prefix), len(order))
    found = []
    for short, path in sorted(paths.items(), key=lambda item: order.get(item[0], len(order))):
        volume_class = classes.get(short, VolumeClass.DECLARED)
        found.append(_volume(short, path, volume_class, container, volumes.get(f"{prefix}{short}")))
    return tuple(found)


def _volume(
    name: str,
    path: str,
    volume_class: VolumeClass,
    container: ObservedContainer,
    seen: ObservedVolume | None,
) -> Volume:
    if seen is None:
        incarnation, image = container.labels.get(naming.LABEL_INCARNATION), None
    else:
        incarnation, image = seen.incarnation, seen.labels.get(naming.LABEL_IMAGE)
    # The pod ran on it, and a person had made it: so somebody had confirmed that the data is there.
    restored = seen.restored if seen is not None and container.has_run else None
    return Volume(
        name=name,
        path=path,
        volume_class=volume_class,
        incarnation=incarnation,
        filled=True,
        image=image,
        restored=restored,
    )
