"""The plan for a pod that should run."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, assert_never

from config.tiers import DEFAULT_TIER, TIERS
from worker.errors import ErrorKind
from worker.planner.backoff import FAILED_DELAY_S, LONGEST_CRASH_DELAY_S, LONGEST_ERROR_DELAY_S, is_due
from worker.planner.container import is_of_present_spec
from worker.planner.decision import GivenUp, Plan, fail, give_up, go, rest
from worker.planner.ended import asked, finished, plan_note
from worker.planner.exit_reason import ending
from worker.planner.identity import name_taken
from worker.planner.network import attached_first
from worker.planner.ownership import container_problem, is_adoptable, volume_problem
from worker.planner.steps import (
    BeginFill,
    ChooseOtherPorts,
    CommitFill,
    CreateContainer,
    CreateVolume,
    FillLayers,
    GiveUpCopies,
    PinImage,
    PullDigest,
    ReadVolumes,
    RemoveContainer,
    StartContainer,
    Step,
    UnpauseContainer,
    UpdateContainer,
    rollback,
)
from worker.planner.stopping import stopping_steps
from worker.planner.volumes.adopting import plan_adoption
from worker.planner.volumes.fit import gone_for_good, is_made, plan_look
from worker.planner.volumes.keeping import plan_keeping
from worker.planner.volumes.kept import copied_volumes, unfilled_below
from worker.planner.volumes.pointers import is_pointer, plan_pointers
from worker.planner.volumes.pooled.directories import added_directory, removed_directories
from worker.planner.volumes.pooled.renewal import outdated_directories, plan_renewal
from worker.planner.volumes.pooled.subvolume import abandoned, new_limit, plan_subvolume, unseen_pool
from worker.planner.volumes.replacing import give_up_copies, plan_nested, plan_replacing
from worker.planner.volumes.storage import plan_restored, storage_problem, unasked_volume
from worker.planner.volumes.strays import stray_problem
from worker.planner.volumes.system import LAYERS, plan_preparation
from worker.pods import naming
from worker.pods.layout import missing_volumes
from worker.pods.model import Installation, Phase, PinnedImage, Record, Volume
from worker.pods.observation import ContainerState, Observation, ObservedContainer
from worker.pods.spec import PodSpec, Restart

_BUSY: Final = (ContainerState.REMOVING, ContainerState.RESTARTING, ContainerState.DEAD)
BUSY_DELAY_S = 1.0
"""When to look again at a container that the Engine is working on."""


def plan_running(record: Record, seen: Observation, now: float, installation: Installation) -> Plan:
    spec, image = record.intent.spec, record.image
    if spec is None:
        return fail(
            ErrorKind.SPEC_UNKNOWN,
            "the spec is not known: send pods.update with the whole spec and replace=true",
        )
    foreign = _foreign(record, seen, installation)
    if foreign is not None:
        return fail(ErrorKind.FOREIGN_OBJECT, foreign)
    # Before anything is done to the container: for these pods it matters whether they have ended.
    note = plan_note(record, seen, spec, installation) if spec.restart is not Restart.ALWAYS else None
    if note is not None:
        return note
    if image is None:
        return go(PinImage(spec.image))
    if image.id in seen.gone_images:
        done = finished(record, spec)
        return _image_gone(image) if done is None else plan_keeping(record, seen, now, installation, done)
    made = is_made(record, seen, image)
    return (
        plan_restored(record, seen)
        or (None if made else _fits(record, seen, image, now, installation))
        or _adoption(record, seen, now, installation)
        or plan_preparation(record, seen, image, installation.system_volumes)
        or _storage_first(record, seen, image, now, installation)
        or plan_subvolume(record, seen, installation)
        or _outdated(record)
        or plan_pointers(record, seen)
        or _container(record, seen, spec, now, installation)
    )


def _fits(
    record: Record, seen: Observation, image: PinnedImage, now: float, own: Installation
) -> Plan | None:
    """Return that the image has to be looked at; if the pod does not fit it, it goes on as it was."""
    decided = plan_look(record, seen, image)
    if decided is None or decided.steps or decided.reason is None:
        return decided
    until, kind = now + FAILED_DELAY_S, decided.kind or ErrorKind.IMAGE_UNFIT
    return carry_on(record, seen, now, own, GivenUp(reason=decided.reason, until=until, kind=kind))


def _adoption(record: Record, seen: Observation, now: float, own: Installation) -> Plan | None:
    decided = plan_adoption(record, seen, own, now)
    if decided is None or decided.given_up is None:
        return decided
    return carry_on(record, seen, now, own, decided.given_up)


def _foreign(record: Record, seen: Observation, installation: Installation) -> str | None:
    if seen.container is not None and not is_adoptable(record, seen.container):
        problem = container_problem(record.pod_id, seen.container, installation)
        if problem is not None:
            return problem
    problems = (volume_problem(record.pod_id, volume, installation) for volume in seen.volumes.values())
    return next((problem for problem in problems if problem is not None), None)


def _image_gone(image: PinnedImage) -> Plan:
    if image.repo_digest is not None:
        return go(PullDigest(image))
    return fail(
        ErrorKind.IMAGE_NOT_FOUND,
        f"{gone_for_good(image)}, and the pod goes on. If it is imported or built again, it is another "
        f"image: pods.update with the pod's spec then takes the one with the name {image.reference}",
    )


def _storage_first(
    record: Record, seen: Observation, image: PinnedImage, now: float, own: Installation
) -> Plan | None:
    """Return what has to happen to the volumes before the container is looked at, None if they are fine."""
    # Between create and start as well: creating a container makes a missing volume silently, empty, and a
    # pod that starts on it has lost its data (protocol 4).
    problem = unseen_pool(record, seen) or storage_problem(record, seen, _due_volumes(record, seen))
    if problem is not None:
        return _storage_missing(seen, problem)
    unfilled = _unfilled(record)
    # The note `initialised` is written before the first start (protocol 2), so a container that ran proves
    # that the volumes were filled, whatever the record says.
    if unfilled and _ran_on(seen, unfilled):
        return go(_commit_all(record))
    held = seen.container if seen.container is not None and seen.container.has_run else None
    if held is not None:
        # What it holds comes first: volumes are begun when it is replaced, or has been.
        fresh = seen.fresh is not None
        return None if fresh else _undone(record, seen, held) or _taken_up(record, seen, image, held)
    return _without_held(record, seen, image, now, own)


def _unfilled(record: Record) -> dict[str, Volume]:
    """Return the volumes that are not filled, by their whole names."""
    return {
        naming.volume_name(record.pod_id, volume.name): volume
        for volume in record.state.layout
        if not volume.filled
    }


def _without_held(
    record: Record,
    seen: Observation,
    image: PinnedImage,
    now: float,
    own: Installation,
) -> Plan | None:
    """Return what has to happen to the volumes of a pod that has no container which ran on them."""
    unfilled = _unfilled(record)
    if unfilled and seen.fresh is None:
        again = not unfilled_below(record, seen)
        return _strayed(record, seen, image) or _unfinished(record, seen, unfilled, again=again)
    if seen.fresh is None and (left := abandoned(record, seen)):
        # Its volumes were removed before, and are not noted any more.
        return go(*left)
    renewal = plan_renewal(record, seen)
    if renewal is not None:
        return renewal
    return None if is_made(record, seen, image) else _new_volumes(record, seen, image, now, own)


def _outdated(record: Record) -> Plan | None:
    steps = outdated_directories(record)
    return go(*steps) if steps else None


def _taken_up(
    record: Record, seen: Observation, image: PinnedImage, container: ObservedContainer
) -> Plan | None:
    """Return how a pod without a record that runs on all of its volumes is adopted; None for any other.

    Its volumes are noted, and nothing is made, so the container stays.
    """
    if record.state.layout or container.pod_id != record.pod_id:
        return None
    wanted = missing_volumes(record, (), seen.shapes.get(image.id))
    names = {naming.volume_name(record.pod_id, name) for name, _ in wanted.values()}
    if not names <= seen.volumes.keys() & _mounted(container):
        return None
    return _strayed(record, seen, image) or _begin(seen)


def _new_volumes(
    record: Record, seen: Observation, image: PinnedImage, now: float, own: Installation
) -> Plan | None:
    nested = plan_nested(record, seen, now, own)
    if nested is not None or not _grows(record, seen, image):
        return nested
    return _strayed(record, seen, image) or _begin(seen)


def _grows(record: Record, seen: Observation, image: PinnedImage) -> bool:
    """Whether the pod should have volumes that it does not have."""
    shape = seen.shapes.get(image.id)
    missing = missing_volumes(record, record.state.layout, shape)
    return not is_made(record, seen, image) and bool(missing)


def _due_volumes(record: Record, seen: Observation) -> list[Volume]:
    """Return the volumes that must be there: the filled ones, and all once a container was made on them."""
    made = seen.fresh is not None and seen.container is not None and not seen.container.has_run
    copies = [] if seen.container is None else copied_volumes(record, seen.container)
    return [
        volume
        for volume in record.state.layout
        if (volume.filled and volume not in copies) or (made and seen.volumes_current)
    ]


def _storage_missing(seen: Observation, problem: str) -> Plan:
    container = seen.container
    if container is not None and container.state is ContainerState.CREATED:
        return go(RemoveContainer(container.id), phase=Phase.STORAGE_MISSING)
    return rest(Phase.STORAGE_MISSING, problem)


def _strayed(record: Record, seen: Observation, image: PinnedImage) -> Plan | None:
    """Return what prevents that volumes outside the layout become part of it; None if nothing does."""
    problem = stray_problem(record, seen, image)
    return None if problem is None else fail(ErrorKind.FOREIGN_OBJECT, problem)


def _begin(seen: Observation) -> Plan:
    unasked = unasked_volume(seen)
    if unasked is not None:
        return rest(
            Phase.STORAGE_MISSING, f"volume {unasked} was made by the Engine in place of a missing one"
        )
    return go(BeginFill())


def _ran_on(seen: Observation, unfilled: Mapping[str, Volume]) -> bool:
    """Whether a container ran on volumes that are not noted as filled: they are, and the note was lost."""
    container = seen.container
    return container is not None and container.has_run and not unfilled.keys().isdisjoint(_mounted(container))


def _unfinished(record: Record, seen: Observation, unfilled: Mapping[str, Volume], *, again: bool) -> Plan:
    """A first creation was cut off and no container ran on it: it is rolled back and begun again.

    `again` is false if something else comes before that.
    """
    container = seen.container
    steps: list[Step] = []
    if container is not None and not unfilled.keys().isdisjoint(_mounted(container)):
        steps.append(RemoveContainer(container.id))
    # The only case in which volumes are removed without a deletion: those that this incarnation made, before
    # any start was sent (promise 1). So is the subvolume of a pod that has no filled volume.
    steps += removed_directories(record, unfilled.values())
    made = ((volume, seen.volumes.get(name)) for name, volume in unfilled.items())
    steps += rollback(made, partial(is_pointer, record.state.system))
    return go(*steps, *abandoned(record, seen), BeginFill() if again else GiveUpCopies(""))


def _mounted(container: ObservedContainer) -> set[str]:
    return set(container.volumes.values())


def _container(record: Record, seen: Observation, spec: PodSpec, now: float, own: Installation) -> Plan:
    container = seen.container
    if container is None:
        done = finished(record, spec)
        kept = None if done is None else plan_keeping(record, seen, now, own, done)
        limit = new_limit(record, spec.tier, own)
        return kept or go(*_missing_volumes(record, seen), *limit, CreateContainer())
    if container.state in (ContainerState.REMOVING, ContainerState.RESTARTING):
        return rest(Phase.PENDING, f"the container is {container.state}", retry_at=now + BUSY_DELAY_S)
    if container.state is ContainerState.DEAD:
        return go(RemoveContainer(container.id, force=True))
    if not _must_go(record, seen, container, spec, own):
        noted = plan_note(record, seen, spec, own)
        return noted or attached_first(_own_container(record, seen, container, now, own), container, own)
    taken = name_taken(record, seen, own)
    if taken is not None:
        # It could not be made again: what was stopped to replace it runs on until the name is free.
        until = now + LONGEST_ERROR_DELAY_S
        given_up = GivenUp(reason=taken, until=until, kind=ErrorKind.FOREIGN_OBJECT)
        stays = carry_on(record, seen, now, own, given_up)
        return stays if stays.steps else fail(ErrorKind.FOREIGN_OBJECT, taken)
    decided = plan_replacing(record, seen, container, now, own)
    return decided if decided.given_up is None else carry_on(record, seen, now, own, decided.given_up)


def _must_go(
    record: Record, seen: Observation, container: ObservedContainer, spec: PodSpec, own: Installation
) -> bool:
    if container_problem(record.pod_id, container, own) is not None:
        return True
    resized = _resizes(record, spec) and not _can_resize(spec, own)
    grows = container.has_run and record.image is not None and _grows(record, seen, record.image)
    return resized or grows or not is_of_present_spec(record, container)


def carry_on(record: Record, seen: Observation, now: float, own: Installation, given_up: GivenUp) -> Plan:
    """Return how a pod goes on in its current container, because the requested one cannot be made."""
    container, spec = seen.container, record.intent.spec
    stays = give_up(given_up.reason, until=given_up.until, kind=given_up.kind)
    if container is None or spec is None or record.image is None or not container.has_run:
        return stays
    if container.state in _BUSY or not _must_go(record, seen, container, spec, own):
        return stays
    problem = storage_problem(record, seen, _due_volumes(record, seen))
    if problem is not None:
        return rest(Phase.STORAGE_MISSING, problem)
    decided = (
        _undone(record, seen, container)
        or _give_back(record, container, own)
        or plan_pointers(record, seen)
        or plan_note(record, seen, spec, own)
        or attached_first(_as_limited(record, seen, container, now, own), container, own)
    )
    goes = any(isinstance(step, RemoveContainer) for step in decided.steps)
    return stays if goes or decided.phase is Phase.RUNNING else replace(decided, given_up=given_up)


def _as_limited(
    record: Record, seen: Observation, container: ObservedContainer, now: float, own: Installation
) -> Plan:
    """Return the plan for the pod's own container with the limits that it has."""
    limited = record.evolve(state=record.state.evolve(tier=_spec(record).tier))
    return _own_container(limited, seen, container, now, own)


def _undone(record: Record, seen: Observation, container: ObservedContainer) -> Plan | None:
    undo = give_up_copies(record, seen, container)
    return go(*undo) if undo else None


def _give_back(record: Record, container: ObservedContainer, own: Installation) -> Plan | None:
    """Start a foreign container again that was stopped for an adoption that failed; None for our own."""
    if container_problem(record.pod_id, container, own) is None:
        return None
    stop = record.state.stop
    ours = stop is not None and (stop.container_id, stop.run) == (container.id, record.state.starts)
    if container.state is ContainerState.EXITED and ours:
        return go(StartContainer(container.id, unasked=False))
    return rest(Phase.RUNNING)


def _missing_volumes(record: Record, seen: Observation) -> list[Step]:
    steps: list[Step] = []
    for volume in record.state.layout:
        if not volume.filled and naming.volume_name(record.pod_id, volume.name) not in seen.volumes:
            steps += [*added_directory(record, volume), CreateVolume(volume)]
            if volume.name == LAYERS:
                steps.append(FillLayers(volume))
    return steps


def _resizes(record: Record, spec: PodSpec) -> bool:
    """Whether the container has another tier than requested; a tier that is in no table changes nothing."""
    return record.state.tier != spec.tier and spec.tier in TIERS


def _can_resize(spec: PodSpec, own: Installation) -> bool:
    """Whether limits of a live container can be changed: gVisor's runsc (2022) has no `update`."""
    return (spec.runtime or own.default_runtime) in (None, "runc")


def _commit_all(record: Record) -> CommitFill:
    return CommitFill(tuple(volume.path for volume in record.state.layout))


def _spec(record: Record) -> PodSpec:
    if record.intent.spec is None:
        raise ValueError(f"pod {record.pod_id} has no spec, which is handled before")
    return record.intent.spec


def _own_container(
    record: Record, seen: Observation, container: ObservedContainer, now: float, own: Installation
) -> Plan:
    match container.state:
        case ContainerState.RUNNING:
            return _alive(record, container, own)
        case ContainerState.PAUSED:
            return go(UnpauseContainer(container.id))
        case ContainerState.CREATED:
            return _created(record, seen, container, now, own)
        case ContainerState.EXITED:
            return _start(record, seen, container, now, own)
        case ContainerState.RESTARTING | ContainerState.REMOVING | ContainerState.DEAD:
            raise ValueError(f"{container.state} is handled before")
        case _:
            assert_never(container.state)


def _alive(record: Record, container: ObservedContainer, own: Installation) -> Plan:
    spec = _spec(record)
    if record.intent.force and asked(record):
        return go(*stopping_steps(container, spec.stop_timeout_s))
    if _resizes(record, spec):
        return go(*new_limit(record, spec.tier, own), UpdateContainer(container.id, spec.tier))
    if spec.tier not in TIERS:
        return rest(
            Phase.RUNNING,
            f"tier {spec.tier!r} is not in the table any more: the limits stay, and another container has "
            f"those of {DEFAULT_TIER!r}; send pods.update with one of {', '.join(TIERS)}",
        )
    return rest(Phase.RUNNING)


def _created(
    record: Record, seen: Observation, container: ObservedContainer, now: float, own: Installation
) -> Plan:
    if not seen.volumes_current:
        return go(ReadVolumes())
    if not record.state.initialised:
        return go(_commit_all(record))
    return _start(record, seen, container, now, own)


def _start(
    record: Record, seen: Observation, container: ObservedContainer, now: float, own: Installation
) -> Plan:
    spec = _spec(record)
    done = finished(record, spec)
    if done is not None:
        return done
    taken = tuple(port for port in seen.ports_taken if port in record.intent.ports)
    if taken:
        return go(ChooseOtherPorts(taken))
    unasked, crash = not asked(record), record.state.crash
    crashed = unasked and crash is not None and crash.run == record.state.starts
    if crashed and crash and not is_due(crash.next_try_at, now, longest=LONGEST_CRASH_DELAY_S):
        return rest(Phase.BACKOFF, ending(crash, spec), retry_at=crash.next_try_at)
    start = StartContainer(container.id, unasked=unasked)
    if _resizes(record, spec):
        return go(*new_limit(record, spec.tier, own), UpdateContainer(container.id, spec.tier), start)
    return go(start)
