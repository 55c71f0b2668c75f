"""What each step finds out: one type a step, so that no table has to guess."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from worker.pods.model import PinnedImage, PublishedPort, Subvolume, System
from worker.pods.observation import Exit, Observation, ObservedContainer, ObservedSubvolume, ObservedVolume
from worker.pods.own_root import Look, Measured
from worker.pods.shape import ImageShape

_R = TypeVar("_R", bound="StepResult")


@dataclass(frozen=True)
class ImagePinned:
    """Of PinImage and PullDigest."""

    image: PinnedImage


@dataclass(frozen=True)
class ImageSeen:
    """Of LookAtImage."""

    shape: ImageShape


@dataclass(frozen=True, kw_only=True)
class SystemPrepared:
    """Of PrepareSystem: how a pod's system directories are kept, and the volumes of their base by name."""

    system: System
    bases: Mapping[str, ObservedVolume]


@dataclass(frozen=True)
class FillBegun:
    """Of BeginFill and BeginKeep."""

    incarnation: str


@dataclass(frozen=True)
class VolumeCreated:
    """Of CreateVolume."""

    volume: ObservedVolume


@dataclass(frozen=True)
class SubvolumeBegun:
    """Of BeginSubvolume."""

    subvolume: Subvolume


@dataclass(frozen=True)
class SubvolumeNamed:
    """Of NameSubvolume."""

    subvolume: ObservedSubvolume


@dataclass(frozen=True)
class VolumesRead:
    """Of ReadVolumes."""

    seen: Observation


@dataclass(frozen=True)
class VolumeRemoved:
    """Of RemoveEmptyVolume."""

    gone: bool


@dataclass(frozen=True)
class FoldersFound:
    """Of FindFolders."""

    look: Look


@dataclass(frozen=True)
class FoldersMeasured:
    """Of MeasureFolders."""

    measured: Measured


@dataclass(frozen=True)
class DirectoriesCompared:
    """Of CompareDirectories: the names of the volumes that have what their images had."""

    unchanged: frozenset[str]


@dataclass(frozen=True)
class ContainerCreated:
    """Of CreateContainer."""

    container: ObservedContainer


@dataclass(frozen=True)
class ExitFound:
    """Of RecordExit."""

    exit: Exit


@dataclass(frozen=True)
class PortsChosen:
    """Of ChooseOtherPorts: all that the pod has then."""

    ports: tuple[PublishedPort, ...]


@dataclass(frozen=True)
class Done:
    """Of every other step: it was done, and there is nothing more to know."""


DONE = Done()
StepResult = (
    ImagePinned
    | ImageSeen
    | SystemPrepared
    | FillBegun
    | VolumeCreated
    | SubvolumeBegun
    | SubvolumeNamed
    | VolumesRead
    | VolumeRemoved
    | FoldersFound
    | FoldersMeasured
    | DirectoriesCompared
    | ContainerCreated
    | ExitFound
    | PortsChosen
    | Done
)


def found(result: StepResult, kind: type[_R]) -> _R:
    """Return a step's result as what that step gives. Raises TypeError for another's."""
    if not isinstance(result, kind):
        raise TypeError(f"a step that gives {kind.__name__} gave {type(result).__name__}")
    return result
