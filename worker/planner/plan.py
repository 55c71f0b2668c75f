"""The planner: from what should be and what is, to the steps between. The only place that decides.

`plan` is pure and looks at one pod. Its steps are the next batch: the caller applies them in order, folds
each into record and observation, and plans again until nothing is left to do.
"""

from typing import assert_never

from worker.errors import ErrorKind
from worker.planner.backoff import FAILED_DELAY_S, is_due
from worker.planner.decision import GivenUp, Plan, fail, go, rest
from worker.planner.host.witness import is_witness
from worker.planner.identity import own_view, plan_identity, with_identity
from worker.planner.ownership import container_problem, volume_problem
from worker.planner.running import BUSY_DELAY_S, carry_on, plan_running
from worker.planner.steps import FinishPurge, PinImage, RemoveContainer, Step, removals
from worker.planner.stopping import stop_under_way, stopping_steps
from worker.planner.volumes.keeping import plan_keeping, plan_unkept
from worker.planner.volumes.pooled.subvolume import removed_subvolumes, unseen_pool
from worker.planner.volumes.storage import host_storage_problem, plan_restored, storage_problem
from worker.pods.model import Installation, IntentKind, Phase, Record
from worker.pods.naming import LABEL_INCARNATION, LABEL_INSTALLATION, LABEL_POD
from worker.pods.observation import ALIVE, ContainerState, Observation, Unknown
from worker.pods.spec import DEFAULT_STOP_TIMEOUT_S


def plan(record: Record, seen: Observation | Unknown, now: float, installation: Installation) -> Plan:
    """Return the next steps for a pod. `now` in seconds since the epoch.

    The record stands for the intent: a plan also depends on what was noted of the pod's creation and
    failures. From an unknown observation nothing follows, nor from a record that cannot be read.
    """
    if record.unreadable is not None or isinstance(seen, Unknown):
        return _nothing_known(record, seen)
    seen = own_view(record, seen, installation)
    if record.exists or record.purging or seen.container is not None or seen.volumes:
        found = seen.storages.get(installation.name)
        problem = host_storage_problem(record.host, record.storage, found, installation.name)
        # Without its sentinel the storage may be the right one: a prune takes that. With another it is not.
        if problem is not None and (found is not None or not is_witness(record, seen)):
            return rest(Phase.STORAGE_MISSING, problem)
    if record.purging:
        return _plan_purge(record, seen, installation)
    match record.intent.kind:
        case IntentKind.DELETED:
            return _plan_leftovers(record, seen, installation)
        case IntentKind.STOPPED:
            decided = stop_under_way(record, seen, now) or _plan_stopped(record, seen, now, installation)
        case IntentKind.RUNNING:
            waits = stop_under_way(record, seen, now) or _failed_before(record, seen, now, installation)
            decided = waits or plan_running(record, seen, now, installation)
        case _:
            assert_never(record.intent.kind)
    return plan_identity(record, seen, now, _stop_timeout(record)) or with_identity(
        record, seen, decided, installation
    )


def unseen_step(record: Record, now: float) -> PinImage | None:
    """Return the first step if it is the same whatever there is of the pod: to get its image.

    A pull may take long, and what was seen before it is old afterwards. A pod that only waits for a registry
    costs no look at all.
    """
    spec = record.intent.spec
    is_wanted = record.intent.kind is IntentKind.RUNNING and not record.purging and record.unreadable is None
    if not is_wanted or spec is None or record.image is not None or _has_given_up(record, now):
        return None
    return PinImage(spec.image)


def _nothing_known(record: Record, seen: Observation | Unknown) -> Plan:
    if record.unreadable is not None:
        return fail(ErrorKind.RECORD_UNREADABLE, record.unreadable.reason)
    reason = seen.reason if isinstance(seen, Unknown) else None
    return rest(record.state.phase, reason, kind=record.state.kind)


def plan_elsewhere(record: Record, seen: Observation, installation: Installation) -> Plan:
    """Return what a host does about another host's pod: remove what it has of a deleted one, keep the rest.

    If a pod was deleted and made again elsewhere, that is what another incarnation made: nothing of the
    current one was ever here, and what came before had to be removed (protocol 9).
    """
    seen = own_view(record, seen, installation)
    if not record.exists:
        return _plan_leftovers(record, seen, installation)
    if record.purging or not record.intent.purge_generation or not record.state.initialised:
        return rest(record.state.phase)
    present = {volume.incarnation for volume in record.state.layout}
    older = {name: v for name, v in seen.volumes.items() if {v.incarnation, v.unasked}.isdisjoint(present)}
    kept = present | {None, ""}
    container, others = (
        tuple(each for each in those if each.labels.get(LABEL_INCARNATION) not in kept)
        for those in ((seen.container,) if seen.container is not None else (), seen.others)
    )
    left = seen.evolve(volumes=older, container=next(iter(container), None), others=others)
    decided = _plan_leftovers(record, left, installation)
    return go(*decided.steps, phase=record.state.phase)


def _failed_before(record: Record, seen: Observation, now: float, installation: Installation) -> Plan | None:
    state = record.state
    if _has_given_up(record, now):
        reason = state.failed_reason or state.reason or "it failed"
        kind = state.failed_kind or ErrorKind.REFUSED
        given_up = GivenUp(reason=reason, until=state.retry_at, kind=kind)
        return carry_on(record, seen, now, installation, given_up)
    return None


def _has_given_up(record: Record, now: float) -> bool:
    waits = not is_due(record.state.retry_at, now, longest=FAILED_DELAY_S)
    return waits and record.state.failed_generation == record.intent.generation


def _stop_timeout(record: Record) -> int:
    """Return it in seconds; the default if the spec is lost."""
    spec = record.intent.spec
    return spec.stop_timeout_s if spec else DEFAULT_STOP_TIMEOUT_S


def _plan_stopped(record: Record, seen: Observation, now: float, installation: Installation) -> Plan:
    container = seen.container
    if container is not None:
        foreign = container_problem(record.pod_id, container, installation)
        if foreign is not None:
            return fail(ErrorKind.FOREIGN_OBJECT, foreign)
        if container.state in (ContainerState.REMOVING, ContainerState.RESTARTING):
            return rest(Phase.PENDING, f"the container is {container.state}", retry_at=now + BUSY_DELAY_S)
        if container.state in ALIVE:
            return go(*stopping_steps(container, _stop_timeout(record)))
    noted = plan_restored(record, seen)
    if noted is not None:
        return noted
    filled = [volume for volume in record.state.layout if volume.filled]
    problem = storage_problem(record, seen, filled)
    if problem is not None:
        return plan_unkept(seen, problem)
    return plan_keeping(record, seen, now, installation, rest(Phase.STOPPED, record.intent.reason))


def _plan_leftovers(record: Record, seen: Observation, installation: Installation) -> Plan:
    """Remove what we made of a deleted pod whenever it appears: an Engine may finish a creation late.

    What has no incarnation of ours was not made by us: a person may be restoring volumes for a new pod.
    """
    steps: list[Step] = [RemoveContainer(other.id, force=True) for other in seen.others]
    if seen.container is not None and container_problem(record.pod_id, seen.container, installation) is None:
        steps.append(RemoveContainer(seen.container.id, force=True))
    steps += removals(
        volume
        for volume in seen.volumes.values()
        if volume.labels.get(LABEL_INSTALLATION) == installation.name
        and volume.labels.get(LABEL_POD) == record.pod_id
        and (volume.incarnation or volume.unasked)
    )
    steps += removed_subvolumes(record, seen)
    return go(*steps, phase=Phase.DELETING) if steps else rest(Phase.DELETED)


def _plan_purge(record: Record, seen: Observation, installation: Installation) -> Plan:
    steps: list[Step] = [RemoveContainer(other.id, force=True) for other in seen.others]
    if seen.container is not None:
        foreign = container_problem(record.pod_id, seen.container, installation)
        if foreign is not None:
            return rest(Phase.DELETING, foreign)
        steps.append(RemoveContainer(seen.container.id, force=True))
    unseen = unseen_pool(record, seen)
    if unseen is not None:
        return rest(Phase.DELETING, unseen)
    ours = [v for v in seen.volumes.values() if volume_problem(record.pod_id, v, installation) is None]
    data = removed_subvolumes(record, seen)
    return go(*steps, *removals(ours), *data, FinishPurge(), phase=Phase.DELETING)
