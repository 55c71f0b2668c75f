"""The steps of a plan: each is one idempotent Engine operation, or a note in the record.

A note must be durable before the next operation. What a step finds out is in `worker.planner.fold.results`,
and what is true once it has succeeded in `worker.planner.fold`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from worker.pods.model import PinnedImage, PublishedPort, System, Volume
from worker.pods.observation import ObservedVolume


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
    """Look at what an image has at some places; a process remembers what it has seen."""

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
class BeginSubvolume:
    """Make the subvolume of a pod on a pool, whole, under a name of its own; note its UUID, durably."""


@dataclass(frozen=True)
class NameSubvolume:
    """Give the subvolume that was begun the pod's name."""


@dataclass(frozen=True)
class AddDirectory:
    """Make the empty directory of a volume in a subvolume that began without it."""

    volume: Volume


@dataclass(frozen=True)
class RemoveDirectory:
    """Remove such a directory with what was begun in it, or one that was given up."""

    volume: Volume


@dataclass(frozen=True)
class CompareDirectories:
    """Compare what is in these volumes with what the images have there that filled them."""

    volumes: tuple[Volume, ...]


@dataclass(frozen=True)
class RenewDirectories:
    """Note, durably, which volumes another image fills anew, and which are their owner's from now on."""

    renewed: tuple[Volume, ...]
    kept: tuple[Volume, ...]


@dataclass(frozen=True)
class LimitSubvolume:
    """Change how much a pod on a pool may keep, running or not."""

    uuid: str
    limit: int
    """Bytes."""


@dataclass(frozen=True)
class RemoveSubvolume:
    """Remove all data of a pod on a pool, or what was begun for it."""

    uuid: str
    begun: str | None = None
    """Incarnation of what was begun and has not got the pod's name."""


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
    """Look for what the owner has in a container outside its volumes, before it is removed."""

    container_id: str
    """Empty if there is none: then only the pod's volumes are looked at. So it is in the next three steps."""
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
    """Note, durably, that such volumes will be removed, so that they never count as missing."""

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
    """Even if it runs; only for deletion, and for a container that is dead already."""


@dataclass(frozen=True)
class RemoveVolume:
    name: str
    """The full name."""
    on_others: bool = False
    """Whether it mounts other volumes of the pod: it is removed before them."""


@dataclass(frozen=True)
class RemoveEmptyVolume:
    """Remove a volume that nothing identifies as anybody's, if it is empty; otherwise it stays.

    The Engine makes a volume first and then notes its labels: if killed in between, it leaves this.
    """

    name: str
    """The full name."""


@dataclass(frozen=True)
class FinishPurge:
    """Note that nothing is left of what was deleted, and release its host ports."""


ImageStep = PinImage | PullDigest | LookAtImage | PrepareSystem
VolumeStep = (
    BeginFill
    | CreateVolume
    | FillLayers
    | ReadVolumes
    | CommitFill
    | NoteRestored
    | RemoveVolume
    | RemoveEmptyVolume
)
PoolStep = (
    BeginSubvolume
    | NameSubvolume
    | AddDirectory
    | RemoveDirectory
    | CompareDirectories
    | RenewDirectories
    | LimitSubvolume
    | RemoveSubvolume
)
KeepStep = FindFolders | MeasureFolders | BeginKeep | CopyFolder | DistrustCopies | GiveUpCopies
StartStep = (
    CreateContainer | StartContainer | UnpauseContainer | UpdateContainer | RenameContainer | ConnectNetwork
)
EndStep = BeginStop | StopContainer | RecordExit | NoteLost | RemoveContainer
PodStep = ChooseOtherPorts | FinishPurge
Step = ImageStep | VolumeStep | PoolStep | KeepStep | StartStep | EndStep | PodStep
"""Tables go group by group and end in `assert_never`: the type check names each that misses a new step."""

READ_ONLY: Final = (LookAtImage, FindFolders, MeasureFolders)
"""Steps that change nothing, neither at the Engine nor in the record; what they find may refuse a change."""

SAVED_WITH_NEXT: Final = (PinImage, CreateContainer, StartContainer, UpdateContainer)
"""Steps whose outcome may be lost with the process: the Engine shows it, or it can be found out again.

What any other step notes has to be durable before the next one is sent.
"""


def removals(volumes: Iterable[ObservedVolume]) -> list[RemoveVolume]:
    """Return the removal of each; those that mount others are removed before them."""
    steps = [RemoveVolume(volume.name, on_others=bool(volume.options)) for volume in volumes]
    return sorted(steps, key=lambda step: not step.on_others)


def rollback(
    begun: Iterable[tuple[Volume, ObservedVolume | None]], is_pointer: Callable[[Volume], bool]
) -> list[Step]:
    """Return how to remove what was made for volumes that are noted as begun and not as filled.

    `is_pointer` says of a volume whether it should hold nothing by itself.

    A volume of another incarnation than the one that was noted is not ours to remove. Before that note there
    was no such volume, so one without any label is ours too, or a person made it since.
    """
    made = [(volume, found) for volume, found in begun if found is not None]
    ours = [found for volume, found in made if volume.incarnation in (found.incarnation, found.unasked)]
    unnamed = [found for _, found in made if not found.labels]
    pointers = [found for volume, found in made if not found.labels and found.options and is_pointer(volume)]
    doubtful = [RemoveEmptyVolume(found.name) for found in unnamed if found not in pointers]
    return [*removals([*ours, *pointers]), *doubtful]


def together(batch: Iterable[Step]) -> Iterator[tuple[Step, ...]]:
    """Yield steps in order, grouped if they do not depend on each other: volumes made, or removed."""
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


def step_name(step: Step) -> str:
    """Return the step's name for logs, metrics and results: `create_container` for CreateContainer."""
    return name_of_kind(type(step))


def name_of_kind(kind: type[Step]) -> str:
    """Return the name of all steps of one kind."""
    words = kind.__name__
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in words).lstrip("_")
