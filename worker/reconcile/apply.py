"""From a step to the one Engine call it stands for."""

from collections.abc import Collection
from typing import assert_never

from worker.errors import ObjectMissingError
from worker.interfaces import Engine
from worker.planner import steps
from worker.planner.container import container_request, limits, volume_labels
from worker.planner.steps import Step, StepResult
from worker.planner.volumes.kept import pod_mounts
from worker.planner.volumes.system import is_overlay, overlay_options
from worker.planner.volumes.unprotected import parents
from worker.pods.layout import full_names, looked_paths
from worker.pods.model import Installation, Record
from worker.pods.naming import volume_name
from worker.pods.observation import Observation
from worker.pods.shape import ImageShape


async def apply(  # noqa: C901, PLR0911, PLR0912, PLR0915 - a table, one case for each step
    engine: Engine,
    step: Step,
    *,
    record: Record,
    seen: Observation,
    installation: Installation,
    incarnation: str,
) -> StepResult:
    """Do one step and return what it found out, as `worker.planner.steps.fold` wants it.

    `incarnation` is a name never used before, for the step that needs one. Raises what the Engine raises.
    """
    match step:
        case steps.PinImage(reference=reference):
            return await engine.find_image(reference) or await engine.pull_image(reference)
        case steps.PullDigest(image=image):
            digest = image.repo_digest
            pulled = await engine.pull_image(digest or image.reference, pinned=digest is not None)
            return pulled.evolve(reference=image.reference)
        case steps.BeginFill() | steps.BeginKeep():
            return incarnation
        case steps.FindFolders(container_id=container_id, at=places):
            if not container_id:
                return await engine.look_at_volumes(_holders(record, seen, places), places)
            if seen.container is None or seen.container.id != container_id:
                raise ObjectMissingError(f"container {container_id} is not there any more")
            return await engine.look(seen.container, places)
        case steps.MeasureFolders(container_id=container_id, paths=paths):
            floor = installation.min_free_mb * 10**6
            source = container_id or _holders(record, seen, paths)
            return await engine.measure_folders(source, paths, floor_bytes=floor)
        case steps.CopyFolder(container_id=container_id, path=path, volume=volume):
            name = volume_name(record.pod_id, volume.name)
            nested = [each.path for each in record.state.layout]
            await engine.copy_folder(container_id or _holders(record, seen, [path]), path, name, nested)
        case steps.CreateVolume(volume=volume):
            name = volume_name(record.pod_id, volume.name)
            overlaid = is_overlay(record.state.system, volume)
            options = overlay_options(record, seen, volume) if overlaid else {}
            return await engine.create_volume(name, volume_labels(record, volume, installation), options)
        case steps.FillLayers(volume=volume):
            await engine.fill_layers(volume_name(record.pod_id, volume.name))
        case steps.PrepareSystem(wanted=wanted):
            return await engine.prepare_system(wanted, seen.bases, attempt=incarnation)
        case steps.LookAtImage(image=image, places=places):
            return await engine.look_at_image(image, places)
        case steps.CreateContainer():
            shape = await _shape(engine, record, seen)
            return await engine.create_container(container_request(record, installation, shape))
        case steps.ReadVolumes():
            return await engine.read_volumes(record.pod_id, full_names(record.pod_id, record.state))
        case steps.StartContainer(container_id=container_id):
            await engine.start_container(container_id)
        case steps.UnpauseContainer(container_id=container_id):
            await engine.unpause_container(container_id)
        case steps.StopContainer(container_id=container_id, timeout_s=timeout_s):
            await engine.stop_container(container_id, timeout_s)
        case steps.UpdateContainer(container_id=container_id, tier=tier):
            await engine.update_container(container_id, limits(tier))
        case steps.RenameContainer(container_id=container_id, name=name):
            await engine.rename_container(container_id, name)
        case steps.ConnectNetwork(container_id=container_id, network=network):
            await engine.connect_network(container_id, network)
        case steps.RecordExit(container_id=container_id):
            known = seen.container.exit if seen.container is not None else None
            return known or await engine.inspect_exit(container_id)
        case steps.RemoveContainer(container_id=container_id, force=force):
            await engine.remove_container(container_id, force=force)
        case steps.RemoveVolume(name=name):
            await engine.remove_volume(name)
        case steps.CommitFill():
            # What the Engine copied is in the page cache yet: noted as filled, a power cut would empty it.
            await engine.sync_volumes()
        case steps.ChooseOtherPorts():
            raise ValueError("ports are chosen in the store, not on the Engine")
        case steps.BeginStop() | steps.FinishPurge() | steps.NoteLost() | steps.NoteRestored():
            pass
        case steps.DistrustCopies() | steps.GiveUpCopies():
            pass
        case _:
            assert_never(step)
    return None


async def _shape(engine: Engine, record: Record, seen: Observation) -> ImageShape:
    """Return what the pinned image has at the pod's places; it was looked at before, as a rule."""
    if record.image is None:
        raise ValueError(f"pod {record.pod_id}: a container needs a pinned image")
    known = seen.shapes.get(record.image.id)
    return known or await engine.look_at_image(record.image, looked_paths(record, record.image))


def _holders(record: Record, seen: Observation, paths: Collection[str]) -> dict[str, str]:
    """Return, by path, the names of the filled volumes of a pod that hold `paths`."""
    above = {parent for path in paths for parent in parents(path)}
    mounts = pod_mounts(record, seen)
    return {path: volume_name(record.pod_id, volume.name) for path, volume in mounts.items() if path in above}


def step_name(step: Step) -> str:
    """Return the step's name for logs, metrics and results: `create_container` for CreateContainer."""
    return name_of_kind(type(step))


def name_of_kind(kind: type[Step]) -> str:
    """Return the name of all steps of one kind."""
    words = kind.__name__
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in words).lstrip("_")
