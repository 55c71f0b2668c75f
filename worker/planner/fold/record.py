"""What is noted in a pod's record once a step has succeeded."""

from collections.abc import Collection
from typing import assert_never

from worker.planner import steps
from worker.planner.backoff import lost_crash, next_crash
from worker.planner.exit_reason import ending
from worker.planner.fold.results import (
    ContainerCreated,
    ExitFound,
    FillBegun,
    ImagePinned,
    ImageSeen,
    PortsChosen,
    StepResult,
    SubvolumeBegun,
    SystemPrepared,
    found,
)
from worker.planner.steps import EndStep, ImageStep, KeepStep, PodStep, PoolStep, StartStep, Step, VolumeStep
from worker.planner.volumes.pooled.subvolume import adopted_subvolume, is_first
from worker.planner.volumes.strays import with_strays
from worker.pods.layout import begun_layout, kept_layout, missing_volumes, restored_layout
from worker.pods.model import IntentKind, Phase, PodState, Record, SentStop, Volume
from worker.pods.naming import volume_name
from worker.pods.observation import Observation, ObservedContainer, is_second
from worker.pods.shape import ImageShape


def fold_record(record: Record, seen: Observation, step: Step, result: StepResult, now: float) -> Record:
    """Return the record once `step` has succeeded. Raises TypeError if `result` is another step's."""
    if isinstance(step, PodStep):
        return _fold_pod(record, step, result)
    if isinstance(step, ImageStep):
        state = _fold_image(record, step, result)
    elif isinstance(step, VolumeStep):
        state = _fold_volume(record, seen, step, result)
    elif isinstance(step, PoolStep):
        state = _fold_pool(record, step, result)
    elif isinstance(step, KeepStep):
        state = _fold_keep(record, seen, step, result)
    elif isinstance(step, StartStep):
        state = _fold_start(record, step, result)
    elif isinstance(step, EndStep):
        state = _fold_end(record, seen, step, result, now)
    else:
        assert_never(step)
    return record.evolve(state=state)


def _fold_pod(record: Record, step: PodStep, result: StepResult) -> Record:
    match step:
        case steps.ChooseOtherPorts():
            return record.evolve(intent=record.intent.evolve(ports=found(result, PortsChosen).ports))
        case steps.FinishPurge():
            gone = PodState(
                purged_generation=record.intent.purge_generation,
                phase=Phase.DELETED,
                remains=record.state.remains,
            )
            return record.evolve(state=gone)
        case _:
            assert_never(step)


def _fold_image(record: Record, step: ImageStep, result: StepResult) -> PodState:
    state = record.state
    match step:
        case steps.PinImage() | steps.PullDigest():
            return state.evolve(image=found(result, ImagePinned).image)
        case steps.PrepareSystem():
            return state.evolve(system=found(result, SystemPrepared).system)
        case steps.LookAtImage(image=image):
            is_whole = not missing_volumes(record, state.layout, found(result, ImageSeen).shape)
            return state.evolve(whole_for=image.id) if is_whole else state
        case _:
            assert_never(step)


def _fold_volume(record: Record, seen: Observation, step: VolumeStep, result: StepResult) -> PodState:
    state = record.state
    match step:
        case steps.BeginFill():
            return _with_begun(record, seen, found(result, FillBegun).incarnation)
        case steps.CommitFill(paths=paths):
            filled = (v.evolve(filled=v.filled or v.path in paths) for v in state.layout)
            return state.evolve(layout=tuple(filled))
        case steps.NoteRestored(marks=marks):
            return state.evolve(layout=restored_layout(state.layout, dict(marks)))
        case steps.RemoveVolume(name=name):
            left = tuple(v for v in state.layout if v.filled or volume_name(record.pod_id, v.name) != name)
            return state.evolve(layout=left, remains=state.remains or record.intent.unknown)
        case steps.CreateVolume() | steps.FillLayers() | steps.ReadVolumes() | steps.RemoveEmptyVolume():
            return state
        case _:
            assert_never(step)


def _fold_pool(record: Record, step: PoolStep, result: StepResult) -> PodState:
    state, known = record.state, record.state.subvolume
    match step:
        case steps.BeginSubvolume():
            return state.evolve(subvolume=found(result, SubvolumeBegun).subvolume)
        case steps.RemoveSubvolume(uuid=uuid):
            return state.evolve(subvolume=None) if known is not None and known.uuid == uuid else state
        case steps.RemoveDirectory(volume=volume):
            return state.evolve(outdated=tuple(each for each in state.outdated if each != volume))
        case steps.RenewDirectories(renewed=renewed, kept=kept):
            return _renewed(record, renewed, kept)
        case (
            steps.NameSubvolume() | steps.AddDirectory() | steps.CompareDirectories() | steps.LimitSubvolume()
        ):
            return state
        case _:
            assert_never(step)


def _renewed(record: Record, renewed: Collection[Volume], kept: Collection[Volume]) -> PodState:
    state = record.state
    # What its owner has changed is no image's any more.
    layout = (v.evolve(image=None) if v in kept else v for v in state.layout if v not in renewed)
    return _also_kept(record, tuple(volume.path for volume in kept)).evolve(
        layout=tuple(layout), outdated=(*state.outdated, *renewed), whole_for=None
    )


def _also_kept(record: Record, paths: tuple[str, ...]) -> PodState:
    """Return the state with what was kept under the present intent, in two ways perhaps."""
    state, generation = record.state, record.intent.generation
    before = state.kept if state.kept_generation == generation else ()
    return state.evolve(kept=tuple(dict.fromkeys((*before, *paths))), kept_generation=generation)


def _with_begun(record: Record, seen: Observation, incarnation: str) -> PodState:
    layout = begun_layout(record, seen.volumes, incarnation=incarnation, shape=_shape(record, seen))
    # What was begun for a pod without data was removed before.
    adopted = adopted_subvolume(seen.volumes) if is_first(record) else None
    if adopted is not None:
        # What a volume pointed to that is gone is in the subvolume all the same.
        layout = tuple(
            v if v.filled else v.evolve(filled=True, incarnation=adopted.incarnation) for v in layout
        )
    return record.state.evolve(
        layout=with_strays(record, layout, seen.volumes),
        subvolume=adopted if is_first(record) else record.state.subvolume,
        image=record.image,
        whole_for=record.image and record.image.id,
    )


def _shape(record: Record, seen: Observation) -> ImageShape | None:
    return seen.shapes.get(record.image.id) if record.image is not None else None


def _fold_keep(record: Record, seen: Observation, step: KeepStep, result: StepResult) -> PodState:
    state = record.state
    match step:
        case steps.BeginKeep(paths=paths, container_id=container_id):
            incarnation, shape = found(result, FillBegun).incarnation, _shape(record, seen)
            layout = kept_layout(
                record, paths, container_id=container_id, incarnation=incarnation, shape=shape
            )
            return _also_kept(record, paths).evolve(layout=layout)
        case steps.DistrustCopies(container_id=container_id):
            trusted = (v.evolve(filled=v.filled and v.copied_from != container_id) for v in state.layout)
            return state.evolve(layout=tuple(trusted))
        case steps.GiveUpCopies(container_id=container_id):
            return _without_copies(state, container_id)
        case steps.FindFolders() | steps.MeasureFolders() | steps.CopyFolder():
            return state
        case _:
            assert_never(step)


def _without_copies(state: PodState, container_id: str) -> PodState:
    copies = {v.path for v in state.layout if container_id and v.copied_from == container_id}
    left = tuple(v for v in state.layout if v.filled and v.path not in copies)
    return state.evolve(layout=left, kept=(), kept_generation=0)


def _fold_start(record: Record, step: StartStep, result: StepResult) -> PodState:
    state = record.state
    match step:
        case steps.CreateContainer():
            return _with_container(record, found(result, ContainerCreated).container)
        case steps.StartContainer(unasked=unasked):
            return state.evolve(
                starts=state.starts + 1,
                restarts=state.restarts + unasked,
                settled_generation=record.intent.generation,
                crash=state.crash if unasked else None,
            )
        case steps.UpdateContainer(tier=tier):
            return state.evolve(tier=tier)
        case steps.UnpauseContainer() | steps.RenameContainer() | steps.ConnectNetwork():
            return state
        case _:
            assert_never(step)


def _with_container(record: Record, made: ObservedContainer) -> PodState:
    state = record.state.evolve(
        container_id=made.id,
        image=record.image,
        tier=record.intent.spec.tier if record.intent.spec else None,
        discarded_generation=record.intent.discard_generation,
        recreated_generation=record.intent.recreate_generation,
    )
    if record.intent.kind is not IntentKind.RUNNING:
        return state
    # Also one in place of a lost one: whoever follows the pod learns that it was away.
    return state.evolve(phase=Phase.PENDING, reason=None)


def _fold_end(record: Record, seen: Observation, step: EndStep, result: StepResult, now: float) -> PodState:
    state = record.state
    match step:
        case steps.BeginStop(container_id=container_id, timeout_s=timeout_s):
            stop = SentStop(container_id=container_id, run=state.starts, sent_at=now, timeout_s=timeout_s)
            return state.evolve(stop=stop)
        case steps.RecordExit():
            ended = found(result, ExitFound).exit
            crash = next_crash(state.crash, ended, run=state.starts, pod_id=record.pod_id, now=now)
            return state.evolve(crash=crash, phase=Phase.PENDING, reason=ending(crash, record.intent.spec))
        case steps.NoteLost():
            return state.evolve(crash=lost_crash(run=state.starts, now=now))
        case steps.RemoveContainer(container_id=gone):
            return state.evolve(
                container_id=state.container_id if is_second(seen, gone) else None,
                remains=state.remains or record.intent.unknown,
            )
        case steps.StopContainer():
            return state
        case _:
            assert_never(step)
