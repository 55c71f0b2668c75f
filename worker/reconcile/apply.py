"""Turns a step into the one Engine call that it stands for."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from worker.errors import ObjectMissingError
from worker.interfaces import Engine, Tell, tell_nobody
from worker.planner import steps
from worker.planner.container import (
    container_request,
    limits,
    newest_incarnation,
    volume_labels,
)
from worker.planner.fold.results import (
    DONE,
    ContainerCreated,
    DirectoriesCompared,
    ExitFound,
    FillBegun,
    FoldersFound,
    FoldersMeasured,
    ImagePinned,
    ImageSeen,
    StepResult,
    SubvolumeBegun,
    SubvolumeNamed,
    VolumeCreated,
    VolumeRemoved,
    VolumesRead,
)
from worker.planner.steps import EndStep, ImageStep, KeepStep, PoolStep, StartStep, Step, VolumeStep
from worker.planner.volumes.kept import pod_mounts
from worker.planner.volumes.mounts import place_of
from worker.planner.volumes.pointers import volume_options
from worker.planner.volumes.pooled.directories import directory_name
from worker.planner.volumes.pooled.renewal import image_directory
from worker.planner.volumes.pooled.subvolume import is_first, is_pooled
from worker.planner.volumes.unprotected import parents
from worker.pods.layout import full_names, looked_paths
from worker.pods.model import Installation, Record, Subvolume, Volume
from worker.pods.naming import volume_name
from worker.pods.observation import ImageDirectory, Observation
from worker.pods.own_root import Measured
from worker.pods.shape import ImageShape


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a step is done with: one Engine, one pod, and what is known of the pod."""

    engine: Engine
    record: Record
    seen: Observation
    installation: Installation
    incarnation: str
    """A name never used before, for the step that needs one."""
    tell: Tell = tell_nobody
    """Takes news of a pull."""

    def full_name(self, volume: Volume) -> str:
        return volume_name(self.record.pod_id, volume.name)


async def apply(  # noqa: PLR0911 - one for each group of steps
    step: Step, at: Surroundings
) -> StepResult:
    """Do one step and return what it found out, as `worker.planner.fold` wants it.

    Raises what the Engine raises, and ValueError for a step that is not for the Engine.
    """
    if isinstance(step, ImageStep):
        return await _apply_image(step, at)
    if isinstance(step, VolumeStep):
        return await _apply_volume(step, at)
    if isinstance(step, PoolStep):
        return await _apply_pool(step, at)
    if isinstance(step, KeepStep):
        return await _apply_keep(step, at)
    if isinstance(step, StartStep):
        return await _apply_start(step, at)
    if isinstance(step, EndStep):
        return await _apply_end(step, at)
    match step:
        case steps.ChooseOtherPorts():
            raise ValueError("ports are chosen in the store, not on the Engine")
        case steps.FinishPurge():
            return DONE
        case _:
            assert_never(step)


async def _apply_image(step: ImageStep, at: Surroundings) -> StepResult:
    engine = at.engine
    match step:
        case steps.PinImage(reference=reference):
            found = await engine.find_image(reference)
            return ImagePinned(found or await engine.pull_image(reference, tell=at.tell))
        case steps.PullDigest(image=image):
            digest = image.repo_digest
            wanted, is_pinned = digest or image.reference, digest is not None
            pulled = await engine.pull_image(wanted, pinned=is_pinned, tell=at.tell)
            return ImagePinned(pulled.evolve(reference=image.reference))
        case steps.LookAtImage(image=image, places=places):
            return ImageSeen(await engine.look_at_image(image, places))
        case steps.PrepareSystem(wanted=wanted):
            return await engine.prepare_system(wanted, at.seen.bases, attempt=at.incarnation)
        case _:
            assert_never(step)


async def _apply_volume(step: VolumeStep, at: Surroundings) -> StepResult:
    engine, record = at.engine, at.record
    match step:
        case steps.BeginFill():
            return FillBegun(at.incarnation)
        case steps.CreateVolume(volume=volume):
            options = volume_options(record, at.seen, volume)
            labels = volume_labels(record, volume, at.installation)
            return VolumeCreated(await engine.create_volume(at.full_name(volume), labels, options))
        case steps.FillLayers(volume=volume):
            await engine.fill_layers(at.full_name(volume))
        case steps.ReadVolumes():
            names = full_names(record.pod_id, record.state)
            on_pool = is_pooled(record.state.system)
            return VolumesRead(await engine.read_volumes(record.pod_id, names, on_pool=on_pool))
        case steps.CommitFill():
            # What the Engine copied may be in memory only. If the fill were noted before it is on the disk, a
            # power cut could leave a volume that counts as filled and is empty.
            await engine.sync_volumes(on_pool=is_pooled(record.state.system) and not is_first(record))
        case steps.NoteRestored():
            pass
        case steps.RemoveVolume(name=name):
            await engine.remove_volume(name)
        case steps.RemoveEmptyVolume(name=name):
            return VolumeRemoved(await engine.remove_empty_volume(name))
        case _:
            assert_never(step)
    return DONE


async def _apply_pool(step: PoolStep, at: Surroundings) -> StepResult:
    engine, record = at.engine, at.record
    match step:
        case steps.BeginSubvolume():
            image, spec = record.image, record.intent.spec
            if image is None or spec is None:
                raise ValueError(f"pod {record.pod_id}: a subvolume needs a spec and a pinned image")
            shape, layout = await _shape(engine, record, at.seen), record.state.layout
            volumes = {each.name: place_of(each, layout, image, shape) or each.path for each in layout}
            limit, incarnation = at.installation.storage_limit(spec.tier), newest_incarnation(record)
            return SubvolumeBegun(
                await engine.begin_subvolume(record.pod_id, incarnation, image, volumes, limit=limit)
            )
        case steps.NameSubvolume():
            mine = _subvolume(record)
            named = await engine.name_subvolume(record.pod_id, mine.incarnation, mine.uuid)
            return SubvolumeNamed(named)
        case steps.AddDirectory(volume=volume):
            await engine.add_directory(record.pod_id, _subvolume(record).uuid, directory_name(record, volume))
        case steps.RemoveDirectory(volume=volume):
            await engine.remove_directory(
                record.pod_id, _subvolume(record).uuid, directory_name(record, volume)
            )
        case steps.CompareDirectories(volumes=volumes):
            return DirectoriesCompared(await _unchanged(at, volumes))
        case steps.RenewDirectories():
            pass
        case steps.LimitSubvolume(uuid=uuid, limit=limit):
            await engine.limit_subvolume(record.pod_id, uuid, limit)
        case steps.RemoveSubvolume(uuid=uuid, begun=begun_as):
            await engine.remove_subvolume(record.pod_id, uuid, begun_as)
        case _:
            assert_never(step)
    return DONE


async def _unchanged(at: Surroundings, volumes: Collection[Volume]) -> frozenset[str]:
    """Return which volumes have what the images have that filled them, by name."""
    record, by_image = at.record, defaultdict[str, dict[str, ImageDirectory]](dict)
    for volume in volumes:
        by_image[volume.image or ""][volume.name] = image_directory(record, volume)
    uuid, unchanged = _subvolume(record).uuid, frozenset[str]()
    for image_id, directories in by_image.items():
        unchanged |= await at.engine.unchanged_directories(record.pod_id, uuid, image_id, directories)
    return unchanged


def _subvolume(record: Record) -> Subvolume:
    if record.state.subvolume is None:
        raise ValueError(f"pod {record.pod_id}: no subvolume was begun")
    return record.state.subvolume


async def _apply_keep(step: KeepStep, at: Surroundings) -> StepResult:
    engine, record, seen = at.engine, at.record, at.seen
    match step:
        case steps.FindFolders(container_id=container_id, at=places):
            if not container_id:
                look = await engine.look_at_volumes(_holders(record, seen, places), places)
            elif seen.container is None or seen.container.id != container_id:
                raise ObjectMissingError(f"container {container_id} is not there any more")
            else:
                look = await engine.look(seen.container, places)
            return FoldersFound(look)
        case steps.MeasureFolders(container_id=container_id, paths=paths):
            floor = at.installation.min_free_mb * 10**6
            source = container_id or _holders(record, seen, paths)
            measured = await engine.measure_folders(source, paths, floor_bytes=floor)
            return FoldersMeasured(await _within_limit(measured, at))
        case steps.BeginKeep():
            return FillBegun(at.incarnation)
        case steps.CopyFolder(container_id=container_id, path=path, volume=volume):
            nested = [each.path for each in record.state.layout]
            source = container_id or _holders(record, seen, [path])
            await engine.copy_folder(source, path, at.full_name(volume), nested)
        case steps.DistrustCopies() | steps.GiveUpCopies():
            pass
        case _:
            assert_never(step)
    return DONE


async def _apply_start(step: StartStep, at: Surroundings) -> StepResult:
    engine = at.engine
    match step:
        case steps.CreateContainer():
            shape = await _shape(engine, at.record, at.seen)
            request = container_request(at.record, at.installation, shape)
            return ContainerCreated(await engine.create_container(request))
        case steps.StartContainer(container_id=container_id):
            await engine.start_container(container_id)
        case steps.UnpauseContainer(container_id=container_id):
            await engine.unpause_container(container_id)
        case steps.UpdateContainer(container_id=container_id, tier=tier):
            await engine.update_container(container_id, limits(tier))
        case steps.RenameContainer(container_id=container_id, name=name):
            await engine.rename_container(container_id, name)
        case steps.ConnectNetwork(container_id=container_id, network=network):
            await engine.connect_network(container_id, network)
        case _:
            assert_never(step)
    return DONE


async def _apply_end(step: EndStep, at: Surroundings) -> StepResult:
    engine, container = at.engine, at.seen.container
    match step:
        case steps.BeginStop() | steps.NoteLost():
            pass
        case steps.StopContainer(container_id=container_id, timeout_s=timeout_s):
            await engine.stop_container(container_id, timeout_s)
        case steps.RecordExit(container_id=container_id):
            known = container.exit if container is not None else None
            return ExitFound(known or await engine.inspect_exit(container_id))
        case steps.RemoveContainer(container_id=container_id, force=force):
            await engine.remove_container(container_id, force=force)
        case _:
            assert_never(step)
    return DONE


async def _shape(engine: Engine, record: Record, seen: Observation) -> ImageShape:
    """Return what the pinned image has at the pod's places; usually it was looked at before."""
    if record.image is None:
        raise ValueError(f"pod {record.pod_id}: a container needs a pinned image")
    known = seen.shapes.get(record.image.id)
    return known or await engine.look_at_image(record.image, looked_paths(record, record.image))


async def _within_limit(measured: Measured, at: Surroundings) -> Measured:
    """Return what was measured with the room that a pod on a pool has, which is not the Engine's disk."""
    if not is_pooled(at.record.state.system):
        return measured
    size = await at.engine.subvolume_size(at.record.pod_id)
    if size is None or size.limit is None:
        return measured
    return measured.evolve(free_bytes=max(0, size.limit - size.used), where="the pod's own storage")


def _holders(record: Record, seen: Observation, paths: Collection[str]) -> dict[str, str]:
    """Return, by path, the names of the filled volumes of a pod that hold `paths`."""
    above = {parent for path in paths for parent in parents(path)}
    mounts = pod_mounts(record, seen)
    return {path: volume_name(record.pod_id, volume.name) for path, volume in mounts.items() if path in above}
