"""What is true once a step has succeeded, without looking again."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from worker.planner import steps
from worker.planner.fold.results import (
    ContainerCreated,
    DirectoriesCompared,
    ExitFound,
    FillBegun,
    FoldersFound,
    FoldersMeasured,
    ImagePinned,
    ImageSeen,
    StepResult,
    SubvolumeNamed,
    SystemPrepared,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
    found,
)
from worker.planner.steps import EndStep, ImageStep, KeepStep, PodStep, PoolStep, StartStep, Step, VolumeStep
from worker.pods.observation import (
    ALIVE,
    Comparison,
    ContainerState,
    Observation,
    ObservedContainer,
    ObservedSubvolume,
    OnPool,
    is_second,
)


def fold_observation(  # noqa: PLR0911 - one for each group of steps
    seen: Observation, step: Step, result: StepResult
) -> Observation:
    """Return the observation once `step` has succeeded. Raises TypeError if `result` is another step's."""
    of = getattr(step, "container_id", None)
    if is_second(seen, of):
        return seen.evolve(others=tuple(_fold_others(seen.others, step, of)))
    if isinstance(step, PodStep):
        return seen
    if isinstance(step, ImageStep):
        return _fold_image(seen, step, result)
    if isinstance(step, VolumeStep):
        return _fold_volume(seen, step, result)
    if isinstance(step, PoolStep):
        return _fold_pool(seen, step, result)
    if isinstance(step, KeepStep):
        return _fold_keep(seen, step, result)
    if isinstance(step, StartStep):
        return _fold_start(seen, step, result)
    if isinstance(step, EndStep):
        return _fold_end(seen, step, result)
    assert_never(step)


def _fold_image(seen: Observation, step: ImageStep, result: StepResult) -> Observation:
    match step:
        case steps.PinImage() | steps.PullDigest():
            return seen.evolve(gone_images=seen.gone_images - {found(result, ImagePinned).image.id})
        case steps.LookAtImage(image=image):
            return seen.evolve(shapes={**seen.shapes, image.id: found(result, ImageSeen).shape})
        case steps.PrepareSystem():
            return seen.evolve(bases={**seen.bases, **found(result, SystemPrepared).bases})
        case _:
            assert_never(step)


def _fold_volume(seen: Observation, step: VolumeStep, result: StepResult) -> Observation:
    match step:
        case steps.BeginFill():
            return seen.evolve(fresh=found(result, FillBegun).incarnation)
        case steps.CreateVolume():
            made = found(result, VolumeCreated).volume
            return seen.evolve(volumes={**seen.volumes, made.name: made})
        case steps.ReadVolumes():
            read = found(result, VolumesRead).seen
            pool = read.pool or seen.pool
            return seen.evolve(volumes=read.volumes, bases=read.bases, pool=pool, volumes_current=True)
        case steps.RemoveVolume(name=name):
            return _without_volume(seen, name)
        case steps.RemoveEmptyVolume(name=name):
            return _without_volume(seen, name) if found(result, VolumeRemoved).gone else seen
        case steps.FillLayers() | steps.CommitFill() | steps.NoteRestored():
            return seen
        case _:
            assert_never(step)


def _fold_pool(seen: Observation, step: PoolStep, result: StepResult) -> Observation:
    pool = seen.pool or OnPool()
    match step:
        case (
            steps.BeginSubvolume() | steps.AddDirectory() | steps.RemoveDirectory() | steps.RenewDirectories()
        ):
            return seen
        case steps.CompareDirectories(volumes=volumes):
            comparison = Comparison(
                names=frozenset(volume.name for volume in volumes),
                unchanged=found(result, DirectoriesCompared).unchanged,
                ended=seen.container is None or seen.container.state not in ALIVE,
            )
            return seen.evolve(compared=comparison)
        case steps.NameSubvolume():
            named = found(result, SubvolumeNamed).subvolume
            return seen.evolve(pool=replace(pool, subvolume=named, begun=_without(pool.begun, named.uuid)))
        case steps.LimitSubvolume(limit=limit):
            return seen.evolve(pool=replace(pool, subvolume=_limited(pool.subvolume, limit)))
        case steps.RemoveSubvolume(uuid=uuid):
            left = None if pool.subvolume is None or pool.subvolume.uuid == uuid else pool.subvolume
            return seen.evolve(pool=replace(pool, subvolume=left, begun=_without(pool.begun, uuid)))
        case _:
            assert_never(step)


def _limited(found: ObservedSubvolume | None, limit: int) -> ObservedSubvolume | None:
    if found is None or found.size is None:
        return found
    return replace(found, size=replace(found.size, limit=limit))


def _without(begun: Mapping[str, str], gone: str) -> dict[str, str]:
    return {name: uuid for name, uuid in begun.items() if uuid != gone}


def _without_volume(seen: Observation, name: str) -> Observation:
    return seen.evolve(volumes={key: value for key, value in seen.volumes.items() if key != name})


def _fold_keep(seen: Observation, step: KeepStep, result: StepResult) -> Observation:
    match step:
        case steps.FindFolders():
            ended = seen.container is None or seen.container.state not in ALIVE
            return seen.evolve(look=replace(found(result, FoldersFound).look, ended=ended))
        case steps.MeasureFolders():
            return seen.evolve(measured=found(result, FoldersMeasured).measured)
        case steps.BeginKeep():
            return seen.evolve(fresh=found(result, FillBegun).incarnation)
        case steps.GiveUpCopies():
            return seen.evolve(fresh=None)
        case steps.CopyFolder() | steps.DistrustCopies():
            return seen
        case _:
            assert_never(step)


def _fold_start(seen: Observation, step: StartStep, result: StepResult) -> Observation:
    if isinstance(step, steps.CreateContainer):
        return seen.evolve(container=found(result, ContainerCreated).container, volumes_current=False)
    container = seen.container
    if container is None:
        return seen
    match step:
        case steps.StartContainer() | steps.UnpauseContainer():
            return seen.evolve(container=replace(container, state=ContainerState.RUNNING, exit=None))
        case steps.RenameContainer(name=name):
            return seen.evolve(container=replace(container, name=name))
        case steps.ConnectNetwork(network=network):
            networks = (*(container.networks or ()), network)
            return seen.evolve(container=replace(container, networks=networks))
        case steps.UpdateContainer():
            return seen
        case _:
            assert_never(step)


def _fold_end(seen: Observation, step: EndStep, result: StepResult) -> Observation:
    container = seen.container
    match step:
        case steps.RemoveContainer():
            # What the container had begun to fill is a leftover from here on.
            # What was to be kept of it is kept; nothing else was at the places that were looked at.
            look = None if seen.look is None else replace(seen.look, container_id="", found={})
            return seen.evolve(container=None, fresh=None, look=look, measured=None)
        case steps.StopContainer() if container is not None:
            return seen.evolve(container=replace(container, state=ContainerState.EXITED))
        case steps.RecordExit() if container is not None:
            return seen.evolve(container=replace(container, exit=found(result, ExitFound).exit))
        case steps.BeginStop() | steps.StopContainer() | steps.RecordExit() | steps.NoteLost():
            return seen
        case _:
            assert_never(step)


def _fold_others(
    others: Iterable[ObservedContainer], step: Step, container_id: str | None
) -> Iterator[ObservedContainer]:
    """Yield a pod's other containers as they are once `step` has been done to one of them."""
    for each in others:
        match step:
            case _ if each.id != container_id:
                yield each
            case steps.RemoveContainer():
                pass
            case steps.StopContainer():
                yield replace(each, state=ContainerState.EXITED)
            case steps.UnpauseContainer():
                yield replace(each, state=ContainerState.RUNNING)
            case steps.RenameContainer(name=name):
                yield replace(each, name=name)
            case _:
                yield each
