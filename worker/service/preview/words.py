"""What each step does, in words for people. Pure."""

from collections.abc import Iterable
from typing import assert_never

from worker.planner import steps
from worker.planner.steps import EndStep, ImageStep, KeepStep, PodStep, PoolStep, StartStep, Step, VolumeStep
from worker.pods.model import Volume


def words(step: Step) -> str:  # noqa: PLR0911 - one for each group of steps
    """Return what a step does. It quotes names of volumes and paths, and no value of `env`."""
    if isinstance(step, ImageStep):
        return _image(step)
    if isinstance(step, VolumeStep):
        return _volume(step)
    if isinstance(step, PoolStep):
        return _pool(step)
    if isinstance(step, KeepStep):
        return _keep(step)
    if isinstance(step, StartStep):
        return _start(step)
    if isinstance(step, EndStep):
        return _end(step)
    return _pod(step)


def _image(step: ImageStep) -> str:
    match step:
        case steps.PinImage(reference=reference):
            return f"find image {reference} on the host, or pull it"
        case steps.PullDigest(image=image):
            return f"pull image {image.reference} again, as it is gone from the host"
        case steps.LookAtImage():
            return "look at what the image has where the pod has volumes"
        case steps.PrepareSystem():
            return "find or make the base of /usr and the other system directories"
        case _:
            assert_never(step)


def _volume(step: VolumeStep) -> str:  # noqa: PLR0911 - a table, one line for each step
    match step:
        case steps.BeginFill():
            return "note which volumes are about to be made"
        case steps.CreateVolume(volume=volume):
            return f"make the volume at {volume.path}"
        case steps.FillLayers():
            return "make the folders of the layers of system directories"
        case steps.ReadVolumes():
            return "check that all volumes are there"
        case steps.CommitFill():
            return "note that the new volumes are filled"
        case steps.NoteRestored():
            return "note which volumes were restored"
        case steps.RemoveVolume(name=name):
            return f"remove volume {name}"
        case steps.RemoveEmptyVolume(name=name):
            return f"remove volume {name} if it is empty"
        case _:
            assert_never(step)


def _pool(step: PoolStep) -> str:  # noqa: C901, PLR0911 - a table, one line for each step
    match step:
        case steps.BeginSubvolume():
            return "make the pod's subvolume on the pool, with what its image has"
        case steps.NameSubvolume():
            return "give that subvolume the pod's name"
        case steps.AddDirectory(volume=volume):
            return f"make a place for {volume.path} in the pod's subvolume"
        case steps.RemoveDirectory(volume=volume):
            return f"remove what the pod's subvolume had for {volume.path}"
        case steps.CompareDirectories(volumes=volumes):
            return f"compare {_paths(volumes)} with what the image has there"
        case steps.RenewDirectories(renewed=()):
            return "note what stays as its owner has it"
        case steps.RenewDirectories(renewed=renewed):
            return f"take {_paths(renewed)} from the new image: nothing was changed there"
        case steps.LimitSubvolume(limit=limit):
            return f"let the pod keep {limit / 10**9:g} GB"
        case steps.RemoveSubvolume(begun=None):
            return "remove the pod's subvolume with all of its data"
        case steps.RemoveSubvolume():
            return "remove a subvolume that was begun for the pod"
        case _:
            assert_never(step)


def _paths(volumes: Iterable[Volume]) -> str:
    return ", ".join(volume.path for volume in volumes)


def _keep(step: KeepStep) -> str:
    match step:
        case steps.FindFolders():
            return "look for what the container has outside its volumes"
        case steps.MeasureFolders(paths=paths):
            return f"measure {', '.join(paths)}"
        case steps.BeginKeep(paths=paths):
            return f"note that {', '.join(paths)} will be kept on volumes"
        case steps.CopyFolder(path=path):
            return f"copy {path} to a volume of its own"
        case steps.DistrustCopies() | steps.GiveUpCopies():
            return "give up copies that were begun"
        case _:
            assert_never(step)


def _start(step: StartStep) -> str:
    match step:
        case steps.CreateContainer():
            return "make the container"
        case steps.StartContainer():
            return "start the container"
        case steps.UnpauseContainer():
            return "let the paused container go on"
        case steps.UpdateContainer(tier=tier):
            return f"give the container the limits of {tier}, while it runs"
        case steps.RenameContainer():
            return "give the container its name back"
        case steps.ConnectNetwork(network=network):
            return f"connect the container to network {network}"
        case _:
            assert_never(step)


def _end(step: EndStep) -> str:
    match step:
        case steps.BeginStop():
            return "note that a stop is about to be sent"
        case steps.StopContainer(timeout_s=timeout_s):
            return f"stop the container, which has {timeout_s} s to end by itself"
        case steps.RecordExit():
            return "find out how the container ended"
        case steps.NoteLost():
            return "note that the container is gone"
        case steps.RemoveContainer():
            return "remove the container; its volumes stay"
        case _:
            assert_never(step)


def _pod(step: PodStep) -> str:
    match step:
        case steps.ChooseOtherPorts():
            return "choose other host ports"
        case steps.FinishPurge():
            return "give back its host ports, and note that nothing is left"
        case _:
            assert_never(step)
