"""Which container is a pod's. Its labels say so; a name is only a claim, which anybody can change."""

from collections.abc import Iterable
from typing import Final

from worker.errors import ErrorKind
from worker.planner.decision import Plan, fail, go, rest
from worker.planner.ownership import container_problem, is_adoptable
from worker.planner.steps import CreateContainer, RemoveContainer, RenameContainer, Step
from worker.planner.stopping import stop_under_way, stopping_steps
from worker.pods import naming
from worker.pods.layout import full_names
from worker.pods.model import Installation, Phase, Record
from worker.pods.observation import ALIVE, ContainerState, Observation, ObservedContainer

_GOING: Final = (ContainerState.REMOVING, ContainerState.DEAD)


def own_view(record: Record, seen: Observation, installation: Installation) -> Observation:
    """Return what is seen of a pod, with its own container as `container`, whatever name that has.

    The pod's own is the one that is recorded, otherwise one that runs, otherwise the one with the name. All
    others of ours are its `others`. Somebody else's with the pod's name is the `name_holder`. If none is the
    pod's own, the one with the name stays as `container`.
    """
    named = seen.container
    ours = [
        each
        for each in (named, *seen.others)
        if each is not None and container_problem(record.pod_id, each, installation) is None
    ]
    # An image may have labels like ours, and its containers inherit them; they mount nothing of the pod.
    ours = [each for each in ours if each is named or _mounts(record, each)]
    own = _the_pods(record, ours)
    foreign = named if named is not None and named not in ours else None
    if foreign is not None and (own is None or is_adoptable(record, foreign)):
        return seen.evolve(others=tuple(ours))
    others = tuple(each for each in ours if each is not own)
    return seen.evolve(container=own, others=others, name_holder=foreign or seen.name_holder)


def plan_identity(record: Record, seen: Observation, now: float, stop_timeout_s: int) -> Plan | None:
    """Return how at most one container runs, and how it gets its name back; None if all is right.

    What ran beside it may have data in its own root that is nowhere else, so it is stopped and kept.
    """
    steps: list[Step] = []
    for other in seen.others:
        waits = stop_under_way(record, seen.evolve(container=other), now)
        if waits is not None:
            return waits
        steps += stopping_steps(other, stop_timeout_s)
        if other.state in (ContainerState.CREATED, ContainerState.DEAD):
            steps.append(RemoveContainer(other.id, force=other.state is ContainerState.DEAD))
    own, name = seen.container, naming.container_name(record.pod_id)
    renamed = own is not None and own.name != name and own.state not in _GOING
    if own is not None and renamed and seen.name_holder is None:
        holder = next((each for each in seen.others if each.name == name), None)
        if holder is not None and holder.has_run and holder.state not in _GOING:
            steps.append(RenameContainer(holder.id, naming.aside_name(record.pod_id, holder.id)))
        steps.append(RenameContainer(own.id, name))
    return go(*steps) if steps else None


def with_identity(record: Record, seen: Observation, decided: Plan, installation: Installation) -> Plan:
    """Return a plan that says what is wrong with the pod's containers and takes that into account.

    A container whose name somebody else has taken could not be made again, so it is not removed.
    """
    taken = name_taken(record, seen, installation)
    if taken is not None and any(isinstance(s, RemoveContainer | CreateContainer) for s in decided.steps):
        return fail(ErrorKind.FOREIGN_OBJECT, taken)
    said = [part for part in (decided.reason, taken, *map(_kept, _that_ran(seen.others))) if part]
    quiet = not decided.steps and decided.phase in (Phase.RUNNING, Phase.STOPPED)
    return rest(decided.phase, "; ".join(said), retry_at=decided.retry_at) if quiet and said else decided


def name_taken(record: Record, seen: Observation, installation: Installation) -> str | None:
    """Return why another container of the pod could not be made: somebody else has its name; or None."""
    holder = seen.name_holder
    return None if holder is None else container_problem(record.pod_id, holder, installation)


def noted(record: Record, seen: Observation, installation: Installation) -> Record:
    """Return the record with the ids of the pod's containers, of which `own_view` says which is which."""
    if not record.exists:
        return record
    own, seconds = seen.container, tuple(other.id for other in seen.others)
    ours = own is not None and container_problem(record.pod_id, own, installation) is None
    own_id = own.id if own is not None and ours else record.state.container_id
    return record.evolve(state=record.state.evolve(container_id=own_id, seconds=seconds))


def _the_pods(record: Record, ours: Iterable[ObservedContainer]) -> ObservedContainer | None:
    name = naming.container_name(record.pod_id)
    ranked = sorted(
        (each.id != record.state.container_id, each.state not in ALIVE, each.name != name, each.id, each)
        for each in ours
    )
    return ranked[0][-1] if ranked and not all(ranked[0][:3]) else None


def _mounts(record: Record, container: ObservedContainer) -> bool:
    names = full_names(record.pod_id, record.state)
    return any(name in names for name in container.volumes.values())


def _that_ran(others: Iterable[ObservedContainer]) -> list[ObservedContainer]:
    return [other for other in others if other.has_run]


def _kept(other: ObservedContainer) -> str:
    return (
        f"container {other.name} ({other.id[:12]}) is a second one of this pod and is kept stopped: what was "
        "written in it outside the pod's volumes is nowhere else. Copy what is wanted out of it (docker cp), "
        f"then remove it (docker rm {other.id[:12]})"
    )
