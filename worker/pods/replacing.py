"""The plan for a container that another one takes the place of, on purpose."""

from worker.pods.model import Record
from worker.pods.observation import Observation, ObservedContainer
from worker.pods.spec import PodSpec
from worker.pods.steps import (
    BeginKeep,
    CommitFill,
    CopyFolder,
    CreateVolume,
    FindFolders,
    RemoveContainer,
    Step,
)
from worker.pods.stopping import stopping_steps


def replacing_steps(
    record: Record, seen: Observation, container: ObservedContainer, spec: PodSpec
) -> list[Step]:
    """Return what takes a container away for another one; what the owner made below `/` is kept first."""
    stop = stopping_steps(container, spec.stop_timeout_s)
    if not container.has_run:
        return [RemoveContainer(container.id)]
    if seen.new_folders is None:
        return [*stop, FindFolders(container.id)]
    volumes = {volume.path: volume for volume in record.state.layout if volume.path in seen.new_folders}
    if volumes.keys() != set(seen.new_folders):
        return [*stop, BeginKeep(seen.new_folders)]
    begun = [volume for volume in volumes.values() if not volume.filled]
    if not begun:
        return [*stop, RemoveContainer(container.id)]
    copies = [step for volume in begun for step in (CreateVolume(volume), CopyFolder(container.id, volume))]
    return [*stop, *copies, CommitFill(tuple(volume.path for volume in begun))]
