"""The steps of a plan, and what each does to what we know.

A step is one idempotent Engine operation, or a note in the record that must be durable before the next
operation. `fold` tells, without looking again, what is true once a step has succeeded.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from worker.planner.backoff import lost_crash, next_crash
from worker.planner.exit_reason import ending
from worker.planner.volumes.strays import with_strays
from worker.pods.layout import begun_layout, kept_layout, missing_volumes, restored_layout
from worker.pods.model import (
    IntentKind,
    Phase,
    PinnedImage,
    PodState,
    PublishedPort,
    Record,
    SentStop,
    System,
    Volume,
)
from worker.pods.naming import volume_name
from worker.pods.observation import (
    ALIVE,
    ContainerState,
    Exit,
    Observation,
    ObservedContainer,
    ObservedVolume,
)
from worker.pods.own_root import Look, Measured
from worker.pods.shape import ImageShape


@dataclass(frozen=True)
class PinImage:
    """Find the image on the host, or pull it, and pin what was found."""

    reference: str


@dataclass(frozen=True)
class PullDigest:
    """Pull the pinned digest again, as the pinned image is gone from the host."""

    image: PinnedImage


@dataclass(frozen=True)
class LookAtImage:
    """Look at what an image has at some places; what a process has seen once it knows."""

    image: PinnedImage
    places: tuple[str, ...]


@dataclass(frozen=True)
class PrepareSystem:
    """Find or make the base of a pod's system directories, and pin how they are kept."""

    wanted: System


@dataclass(frozen=True)
class BeginFill:
    """Note, durably, the incarnation and the volumes that are about to be made."""


@dataclass(frozen=True)
class CreateVolume:
    volume: Volume


@dataclass(frozen=True)
class FillLayers:
    """Make the folders that the overlays need, in a volume that was just made."""

    volume: Volume


@dataclass(frozen=True)
class CreateContainer:
    """Create, which fills the volumes that are not filled yet; the others are mounted as they are."""


@dataclass(frozen=True)
class ReadVolumes:
    """List the volumes again: creating a container makes missing ones silently."""


@dataclass(frozen=True)
class FindFolders:
    """Look for what the owner has in a container outside its volumes, before it goes."""

    container_id: str
    """Empty where there is none: then only the pod's volumes are looked at. So it is in the next three."""
    at: tuple[str, ...] = ()
    """Where the next container will have a volume and this one has none."""


@dataclass(frozen=True)
class MeasureFolders:
    """Find out whether there is room for what is to be kept."""

    container_id: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class BeginKeep:
    """Note, durably, the volumes that are about to be made for such directories."""

    paths: tuple[str, ...]
    container_id: str


@dataclass(frozen=True)
class CopyFolder:
    """Copy a directory of a container into a volume that was just made for it."""

    container_id: str
    path: str
    volume: Volume


@dataclass(frozen=True)
class DistrustCopies:
    """Note, durably, that such volumes are about to go, so that they are not missed if the container does."""

    container_id: str


@dataclass(frozen=True)
class GiveUpCopies:
    """Note, durably, that such volumes are not the pod's: the container keeps what was copied."""

    container_id: str


@dataclass(frozen=True)
class CommitFill:
    """Note, durably, that the volumes at `paths` are filled: from now on they hold the owner's data."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class NoteRestored:
    """Note, durably, which volumes a person made and says to hold their data, and which are lost again."""

    marks: tuple[tuple[str, str | None], ...]
    """Path and mark; None for one that is lost again."""


@dataclass(frozen=True)
class StartContainer:
    container_id: str
    unasked: bool
    """Whether nobody asked for this start: it counts as a restart."""


@dataclass(frozen=True)
class ChooseOtherPorts:
    """Choose free host ports, durably, in place of chosen ones that a program of the host has taken."""

    taken: tuple[PublishedPort, ...]


@dataclass(frozen=True)
class UnpauseContainer:
    container_id: str


@dataclass(frozen=True)
class BeginStop:
    """Note, durably, that a stop is about to be sent: no second one is, while that may be under way."""

    container_id: str
    timeout_s: int


@dataclass(frozen=True)
class StopContainer:
    container_id: str
    timeout_s: int


@dataclass(frozen=True)
class UpdateContainer:
    """Give a live container the limits of another tier."""

    container_id: str
    tier: str


@dataclass(frozen=True)
class RenameContainer:
    container_id: str
    name: str


@dataclass(frozen=True)
class ConnectNetwork:
    """Attach a container to a network; its published ports answer again with that."""

    container_id: str
    network: str


@dataclass(frozen=True)
class RecordExit:
    """Find out how a container ended, once, and note it."""

    container_id: str


@dataclass(frozen=True)
class NoteLost:
    """Note, durably, that the container of the last start is gone and nobody saw how it ended."""


@dataclass(frozen=True)
class RemoveContainer:
    container_id: str
    force: bool = False
    """Also when it runs; only for deletion, and for a container that is dead already."""


@dataclass(frozen=True)
class RemoveVolume:
    name: str
    """The full name."""
    on_others: bool = False
    """Whether it mounts other volumes of the pod: it goes before them."""


@dataclass(frozen=True)
class FinishPurge:
    """Note that nothing is left of what was deleted, and release its host ports."""


Step = (
    PinImage
    | PullDigest
    | LookAtImage
    | PrepareSystem
    | BeginFill
    | CreateVolume
    | FillLayers
    | CreateContainer
    | ReadVolumes
    | FindFolders
    | MeasureFolders
    | BeginKeep
    | CopyFolder
    | DistrustCopies
    | GiveUpCopies
    | CommitFill
    | NoteRestored
    | StartContainer
    | ChooseOtherPorts
    | UnpauseContainer
    | BeginStop
    | StopContainer
    | UpdateContainer
    | RenameContainer
    | ConnectNetwork
    | RecordExit
    | NoteLost
    | RemoveContainer
    | RemoveVolume
    | FinishPurge
)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """How a pod's system directories are kept, and the volumes of their base by name."""

    system: System
    bases: Mapping[str, ObservedVolume]


StepResult = (
    Prepared
    | ImageShape
    | PinnedImage
    | ObservedContainer
    | ObservedVolume
    | Observation
    | Exit
    | tuple[PublishedPort, ...]
    | Look
    | Measured
    | str
    | None
)
"""What applying a step found out: see `fold` for which step gives which."""

READ_ONLY: Final = (LookAtImage, FindFolders, MeasureFolders)
"""Steps that change nothing, neither at the Engine nor in the record."""

SAVED_WITH_NEXT: Final = (PinImage, CreateContainer, StartContainer, UpdateContainer)
"""Steps whose outcome may be lost with the process: the Engine shows it, or it is found out again.

What any other step notes has to be durable before the next one is sent.
"""


def removals(volumes: Iterable[ObservedVolume]) -> list[RemoveVolume]:
    """Return the removal of each; those that mount others go before them."""
    steps = [RemoveVolume(volume.name, on_others=bool(volume.options)) for volume in volumes]
    return sorted(steps, key=lambda step: not step.on_others)


def together(batch: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Yield steps in their order, as one those that do not depend on each other: volumes made, or removed."""
    for independent, steps in groupby(batch, _independent):
        if independent:
            yield tuple(steps)
        else:
            yield from ((step,) for step in steps)


def _independent(step: Step) -> tuple[type[Step], bool] | None:
    match step:
        case CreateVolume():
            return CreateVolume, False
        case RemoveVolume(on_others=on_others):
            return RemoveVolume, on_others
        case _:
            return None


def fold(
    record: Record, seen: Observation, step: Step, result: StepResult, now: float
) -> tuple[Record, Observation]:
    """Return record and observation as they are once `step` has succeeded with `result`."""
    return _fold_record(record, seen, step, result, now), _fold_observation(seen, step, result)


def _fold_record(  # noqa: C901, PLR0912, PLR0915 - a table, one case for each step
    record: Record, seen: Observation, step: Step, result: StepResult, now: float
) -> Record:
    state = record.state
    if isinstance(step, ChooseOtherPorts):
        ports = result if isinstance(result, tuple) else ()
        return record.evolve(intent=record.intent.evolve(ports=ports))
    match step, result:
        case ((PinImage() | PullDigest()), PinnedImage()):
            state = state.evolve(image=result)
        case PrepareSystem(), Prepared():
            state = state.evolve(system=result.system)
        case LookAtImage(image=image), ImageShape():
            if not missing_volumes(record, state.layout, result):
                state = state.evolve(whole_for=image.id)
        case BeginFill(), str(incarnation):
            shape = seen.shapes.get(record.image.id) if record.image is not None else None
            layout = begun_layout(record, seen.volumes, incarnation=incarnation, shape=shape)
            layout = with_strays(record, layout, seen.volumes)
            state = state.evolve(
                layout=layout, image=record.image, whole_for=record.image and record.image.id
            )
        case CreateContainer(), ObservedContainer():
            tier = record.intent.spec.tier if record.intent.spec else None
            state = state.evolve(container_id=result.id, image=record.image, tier=tier)
            state = state.evolve(
                discarded_generation=record.intent.discard_generation,
                recreated_generation=record.intent.recreate_generation,
            )
            if record.intent.kind is IntentKind.RUNNING:
                # Also one in place of a lost one: whoever follows the pod learns that it was away.
                state = state.evolve(phase=Phase.PENDING, reason=None)
        case BeginKeep(paths=paths, container_id=container_id), str(incarnation):
            shape = seen.shapes.get(record.image.id) if record.image is not None else None
            layout = kept_layout(
                record, paths, container_id=container_id, incarnation=incarnation, shape=shape
            )
            state = state.evolve(layout=layout, kept=paths, kept_generation=record.intent.generation)
        case DistrustCopies(container_id=container_id), _:
            trusted = (v.evolve(filled=v.filled and v.copied_from != container_id) for v in state.layout)
            state = state.evolve(layout=tuple(trusted))
        case GiveUpCopies(container_id=container_id), _:
            state = _without_copies(state, container_id)
        case CommitFill(paths=paths), _:
            filled = (v.evolve(filled=v.filled or v.path in paths) for v in state.layout)
            state = state.evolve(layout=tuple(filled))
        case NoteRestored(marks=marks), _:
            state = state.evolve(layout=restored_layout(state.layout, dict(marks)))
        case StartContainer(unasked=unasked), _:
            state = state.evolve(
                starts=state.starts + 1,
                restarts=state.restarts + unasked,
                settled_generation=record.intent.generation,
                crash=state.crash if unasked else None,
            )
        case BeginStop(container_id=container_id, timeout_s=timeout_s), _:
            stop = SentStop(container_id=container_id, run=state.starts, sent_at=now, timeout_s=timeout_s)
            state = state.evolve(stop=stop)
        case UpdateContainer(tier=tier), _:
            state = state.evolve(tier=tier)
        case RecordExit(), Exit():
            crash = next_crash(state.crash, result, run=state.starts, pod_id=record.pod_id, now=now)
            state = state.evolve(crash=crash, phase=Phase.PENDING, reason=ending(crash, record.intent.spec))
        case NoteLost(), _:
            state = state.evolve(crash=lost_crash(run=state.starts, now=now))
        case RemoveContainer(container_id=gone), _:
            state = state.evolve(
                container_id=state.container_id if _is_second(seen, gone) else None,
                remains=state.remains or record.intent.unknown,
            )
        case RemoveVolume(name=name), _:
            left = tuple(v for v in state.layout if v.filled or volume_name(record.pod_id, v.name) != name)
            state = state.evolve(layout=left, remains=state.remains or record.intent.unknown)
        case FinishPurge(), _:
            state = type(state)(
                purged_generation=record.intent.purge_generation, phase=Phase.DELETED, remains=state.remains
            )
        case _:
            pass
    return record.evolve(state=state)


def _without_copies(state: PodState, container_id: str) -> PodState:
    copies = {v.path for v in state.layout if container_id and v.copied_from == container_id}
    left = tuple(v for v in state.layout if v.filled and v.path not in copies)
    return state.evolve(layout=left, kept=(), kept_generation=0)


def _fold_observation(  # noqa: C901, PLR0911, PLR0912 - a table, one case for each step
    seen: Observation, step: Step, result: StepResult
) -> Observation:
    container = seen.container
    of = getattr(step, "container_id", None)
    if _is_second(seen, of):
        return seen.evolve(others=tuple(_fold_others(seen.others, step, of)))
    match step, result:
        case ((PinImage() | PullDigest()), _):
            return seen.evolve(image_gone=False)
        case LookAtImage(image=image), ImageShape():
            return seen.evolve(shapes={**seen.shapes, image.id: result})
        case PrepareSystem(), Prepared():
            return seen.evolve(bases={**seen.bases, **result.bases})
        case FindFolders(), Look():
            ended = container is None or container.state not in ALIVE
            return seen.evolve(look=replace(result, ended=ended))
        case MeasureFolders(), Measured():
            return seen.evolve(measured=result)
        case GiveUpCopies(), _:
            return seen.evolve(fresh=None)
        case ((BeginFill() | BeginKeep()), str(incarnation)):
            return seen.evolve(fresh=incarnation)
        case CreateVolume(), ObservedVolume():
            return seen.evolve(volumes={**seen.volumes, result.name: result})
        case CreateContainer(), ObservedContainer():
            return seen.evolve(container=result, volumes_current=False)
        case ReadVolumes(), Observation():
            return seen.evolve(volumes=result.volumes, bases=result.bases, volumes_current=True)
        case RemoveContainer(), _:
            # What the container had begun to fill is a leftover from here on.
            # What was to be kept of it has been; nothing else was at the places where it was looked.
            look = None if seen.look is None else replace(seen.look, container_id="", found={})
            return seen.evolve(container=None, fresh=None, look=look, measured=None)
        case RemoveVolume(name=name), _:
            return seen.evolve(volumes={key: value for key, value in seen.volumes.items() if key != name})
        case ((StartContainer() | UnpauseContainer()), _) if container is not None:
            return seen.evolve(container=replace(container, state=ContainerState.RUNNING, exit=None))
        case StopContainer(), _ if container is not None:
            return seen.evolve(container=replace(container, state=ContainerState.EXITED))
        case RecordExit(), Exit() if container is not None:
            return seen.evolve(container=replace(container, exit=result))
        case RenameContainer(name=name), _ if container is not None:
            return seen.evolve(container=replace(container, name=name))
        case ConnectNetwork(network=network), _ if container is not None:
            networks = (*(container.networks or ()), network)
            return seen.evolve(container=replace(container, networks=networks))
        case _:
            return seen


def _is_second(seen: Observation, container_id: str | None) -> bool:
    """Whether a step is about a further container of the pod, not its own."""
    return any(each.id == container_id for each in seen.others)


def _fold_others(
    others: Iterable[ObservedContainer], step: Step, container_id: str | None
) -> Iterator[ObservedContainer]:
    """Yield a pod's further containers as they are once `step` has been done to one of them."""
    for each in others:
        match step:
            case _ if each.id != container_id:
                yield each
            case RemoveContainer():
                pass
            case StopContainer():
                yield replace(each, state=ContainerState.EXITED)
            case UnpauseContainer():
                yield replace(each, state=ContainerState.RUNNING)
            case RenameContainer(name=name):
                yield replace(each, name=name)
            case _:
                yield each
