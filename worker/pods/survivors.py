"""A pod as its container alone tells it, for a store that was lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from config.layout import BASES_PATH
from worker.pods import naming
from worker.pods.layout import system_layout, wanted_layout
from worker.pods.model import (
    Intent,
    IntentKind,
    Phase,
    PinnedImage,
    PodState,
    PublishedPort,
    Record,
    System,
    SystemMode,
    Volume,
    VolumeClass,
)
from worker.pods.mounts import recorded_paths
from worker.pods.observation import ALIVE, ObservedContainer, ObservedVolume
from worker.pods.parsing import parse_spec
from worker.pods.system import labelled_system


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What only an inspect of the container and of its image tells."""

    env: Mapping[str, str]
    """What the container was given beyond its image's own."""
    ports: tuple[PublishedPort, ...]
    image: PinnedImage | None
    """None where the image is gone from the host."""


def rebuilt_record(
    host: str, container: ObservedContainer, remains: Remains, volumes: Mapping[str, ObservedVolume]
) -> Record:
    """Return the record of a pod whose container bears our labels.

    Its intent is what it does: to run if it runs, else to be stopped. Nothing follows that would remove
    anything. Raises InvalidInputError where the label does not hold a spec.
    """
    pod_id = container.pod_id or ""
    label = json.loads(container.labels.get(naming.LABEL_SPEC, "null"))
    spec = parse_spec({**label, "env": dict(remains.env)} if isinstance(label, dict) else label)
    runs = container.state in ALIVE
    system = _system(container)
    image = remains.image or PinnedImage(reference=spec.image, id=container.image_id)
    return Record(
        pod_id=pod_id,
        host=host,
        intent=Intent(
            kind=IntentKind.RUNNING if runs else IntentKind.STOPPED,
            generation=1,
            spec=spec,
            image=image.evolve(reference=spec.image),
            ports=remains.ports,
        ),
        state=PodState(
            phase=Phase.RUNNING if runs else Phase.STOPPED,
            container_id=container.id,
            image=image.evolve(reference=spec.image),
            layout=_layout(pod_id, container, volumes, system),
            system=system,
            settled_generation=1,
            tier=spec.tier,
            starts=1,
        ),
    )


def _system(container: ObservedContainer) -> System | None:
    system = labelled_system(container.labels)
    if system is None or system.mode is not SystemMode.OVERLAY or not system.directories:
        return system
    directory = system.directories[0]
    name = container.volumes.get(f"{BASES_PATH}{directory}", "")
    return system.evolve(base=name.removesuffix(f"-{naming.system_volume(directory)}") or None)


def _layout(
    pod_id: str,
    container: ObservedContainer,
    volumes: Mapping[str, ObservedVolume],
    system: System | None,
) -> tuple[Volume, ...]:
    """Return the layout in the order that it was made in, as the digest of a container's spec needs it."""
    prefix = naming.volume_name(pod_id, "")
    own = system_layout(system) if system is not None else {}
    paths = recorded_paths(
        {
            path: name.removeprefix(prefix)
            for path, name in container.volumes.items()
            if name.startswith(prefix)
        }
    )
    declared = sorted(path for path in paths.values() if path not in own)
    classes = {path: volume_class for path, (_, volume_class) in wanted_layout(declared, system).items()}
    order = {path: number for number, path in enumerate(classes)}
    found = []
    for short, path in sorted(paths.items(), key=lambda item: order.get(item[1], len(order))):
        seen = volumes.get(f"{prefix}{short}")
        found.append(
            Volume(
                name=short,
                path=path,
                volume_class=classes.get(path, VolumeClass.DECLARED),
                incarnation=seen.incarnation
                if seen is not None
                else container.labels.get(naming.LABEL_INCARNATION),
                filled=True,
            )
        )
    return tuple(found)
