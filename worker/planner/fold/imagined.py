"""What a step would find out if it were done and succeeded: for plans that are shown and not carried out."""

from typing import Final, assert_never

from worker.planner import steps
from worker.planner.container import container_request, volume_labels
from worker.planner.fold.results import (
    DONE,
    ContainerCreated,
    ExitFound,
    FillBegun,
    StepResult,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
)
from worker.planner.steps import EndStep, ImageStep, KeepStep, PodStep, PoolStep, StartStep, Step, VolumeStep
from worker.planner.volumes.pointers import volume_options
from worker.pods.model import Installation, Record
from worker.pods.naming import volume_name
from worker.pods.observation import ContainerState, Exit, Observation, ObservedContainer, ObservedVolume

NOT_MADE: Final = "not-made"
"""Stands for the incarnation and the container id that a step would have made."""


def imagined(
    step: Step, record: Record, seen: Observation, installation: Installation, now: float
) -> StepResult | None:
    """Return what a step would find out; None if only doing it tells, such as what a pull brings.

    `now` is in seconds since the epoch.
    """
    if isinstance(step, ImageStep | PodStep):
        return DONE if isinstance(step, steps.FinishPurge) else None
    if isinstance(step, VolumeStep):
        return _volume(step, record, seen, installation)
    if isinstance(step, PoolStep):
        return _pool(step)
    if isinstance(step, KeepStep):
        return _keep(step)
    if isinstance(step, StartStep):
        return _start(step, record, seen, installation)
    if isinstance(step, EndStep):
        return _end(step, seen, now)
    assert_never(step)


def _volume(
    step: VolumeStep, record: Record, seen: Observation, installation: Installation
) -> StepResult | None:
    match step:
        case steps.BeginFill():
            return FillBegun(NOT_MADE)
        case steps.CreateVolume(volume=volume):
            made = ObservedVolume(
                name=volume_name(record.pod_id, volume.name),
                labels=volume_labels(record, volume, installation),
                options=volume_options(record, seen, volume),
            )
            return VolumeCreated(made)
        case steps.ReadVolumes():
            return VolumesRead(seen)
        case steps.RemoveEmptyVolume():
            # Whether it is empty is only known once it is looked into.
            return VolumeRemoved(gone=True)
        case steps.FillLayers() | steps.CommitFill() | steps.NoteRestored() | steps.RemoveVolume():
            return DONE
        case _:
            assert_never(step)


def _pool(step: PoolStep) -> StepResult | None:
    match step:
        case (
            steps.AddDirectory()
            | steps.RemoveDirectory()
            | steps.RenewDirectories()
            | steps.LimitSubvolume()
            | steps.RemoveSubvolume()
        ):
            return DONE
        case steps.BeginSubvolume() | steps.NameSubvolume() | steps.CompareDirectories():
            return None
        case _:
            assert_never(step)


def _keep(step: KeepStep) -> StepResult | None:
    match step:
        case steps.BeginKeep():
            return FillBegun(NOT_MADE)
        case steps.CopyFolder() | steps.DistrustCopies() | steps.GiveUpCopies():
            return DONE
        case steps.FindFolders() | steps.MeasureFolders():
            return None
        case _:
            assert_never(step)


def _start(
    step: StartStep, record: Record, seen: Observation, installation: Installation
) -> StepResult | None:
    match step:
        case steps.CreateContainer():
            shape = seen.shapes.get(record.image.id) if record.image is not None else None
            if shape is None:
                return None
            request = container_request(record, installation, shape)
            made = ObservedContainer(
                id=NOT_MADE,
                name=request.name,
                state=ContainerState.CREATED,
                image_id=request.image_id,
                labels=request.labels,
                volumes={mount.target: mount.source for mount in request.mounts},
                networks=(request.network,),
                network_mode=request.network,
            )
            return ContainerCreated(made)
        case (
            steps.StartContainer()
            | steps.UnpauseContainer()
            | steps.UpdateContainer()
            | steps.RenameContainer()
            | steps.ConnectNetwork()
        ):
            return DONE
        case _:
            assert_never(step)


def _end(step: EndStep, seen: Observation, now: float) -> StepResult | None:
    match step:
        case steps.RecordExit():
            known = seen.container.exit if seen.container is not None else None
            return ExitFound(known or Exit(code=0, oom_killed=False, started_at=now, finished_at=now))
        case steps.BeginStop() | steps.StopContainer() | steps.NoteLost() | steps.RemoveContainer():
            return DONE
        case _:
            assert_never(step)
