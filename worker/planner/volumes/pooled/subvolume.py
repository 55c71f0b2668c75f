"""A pod on a pool: all of its data is in one subvolume, and its volumes only point into that.

The subvolume begins as a snapshot of what its image has, so it is never half filled. Its UUID is noted before
it gets the pod's name: one of that name with another UUID is not this pod's, and is left alone.
"""

from collections.abc import Mapping

from worker.errors import ErrorKind
from worker.planner.decision import Plan, fail, go
from worker.planner.steps import (
    BeginSubvolume,
    LimitSubvolume,
    NameSubvolume,
    RemoveSubvolume,
    Step,
)
from worker.pods import naming
from worker.pods.model import SUBVOLUME, Installation, Record, Subvolume, System, SystemMode
from worker.pods.observation import Observation, ObservedVolume, OnPool


def is_pooled(system: System | None) -> bool:
    """Whether a pod's data is on a pool."""
    return system is not None and system.mode is SystemMode.POOL


def is_first(record: Record) -> bool:
    """Whether a pod has no data of its own yet: whatever was begun for it can be begun again."""
    return not any(volume.filled for volume in record.state.layout)


def unseen_pool(record: Record, seen: Observation) -> str | None:
    """Return why it is not known what a pod has on its pool, None if it is known, or if it is on none."""
    if not is_pooled(record.state.system):
        return None
    if seen.pool is None:
        return (
            f"pod {record.pod_id} is on a pool, and host {record.host} has none: set PINACLE_POOL to where "
            "that is mounted"
        )
    return seen.pool.problem


def subvolume_problem(record: Record, seen: Observation) -> str | None:
    """Return why a pod's subvolume cannot be used, None if it is there."""
    unseen = unseen_pool(record, seen)
    if unseen is not None:
        return unseen
    known = record.state.subvolume
    if known is None:
        return f"pod {record.pod_id} is on a pool, and which subvolume holds its data is not known"
    found = seen.pool.subvolume if seen.pool is not None else None
    if found is None:
        return (
            f"subvolume {known.uuid}, which holds all data of pod {record.pod_id}, is not on the pool: bring "
            "it back under the pod's id (mv within the pool keeps its UUID); nothing is made in its place"
        )
    if found.uuid != known.uuid:
        return (
            f"{found.path} is another subvolume ({found.uuid}) than the one that holds the data of pod "
            f"{record.pod_id} ({known.uuid}): move it away, and bring the right one back"
        )
    return None


def plan_subvolume(record: Record, seen: Observation, own: Installation) -> Plan | None:
    """Return how a new pod gets its subvolume, None if it has it or is on no pool.

    Once it has its data, what a command that was given up has begun all the same is removed, and its limit is
    set again if it is another than its tier's.
    """
    if not is_pooled(record.state.system) or not record.state.layout:
        return None
    pool, known = seen.pool or OnPool(), record.state.subvolume
    if not is_first(record):
        steps = [*_begun(pool), *_other_limit(record, pool, own)]
        return go(*steps) if steps else None
    found = pool.subvolume
    if found is not None and known is not None and found.uuid == known.uuid:
        return None
    if found is not None:
        return fail(
            ErrorKind.FOREIGN_OBJECT,
            f"{found.path} exists and is not the data of pod {record.pod_id} as it is known here: move it "
            "away, then ask again",
        )
    return go(BeginSubvolume() if known is None else NameSubvolume())


def removed_subvolumes(record: Record, seen: Observation) -> list[Step]:
    """Return how to remove what a pod has on a pool; what another UUID has under its name stays."""
    pool, known = seen.pool or OnPool(), record.state.subvolume
    steps = _begun(pool)
    if pool.subvolume is not None and known is not None and pool.subvolume.uuid == known.uuid:
        steps.append(RemoveSubvolume(known.uuid))
    return steps


def abandoned(record: Record, seen: Observation) -> list[Step]:
    """Return how to remove what was made on a pool for a pod that has no data of its own yet."""
    return removed_subvolumes(record, seen) if is_pooled(record.state.system) and is_first(record) else []


def new_limit(record: Record, tier: str, own: Installation) -> list[Step]:
    """Return how a pod on a pool that has data gets another tier's limit."""
    known = record.state.subvolume
    if not is_pooled(record.state.system) or is_first(record) or known is None or record.state.tier == tier:
        return []
    return [LimitSubvolume(known.uuid, own.storage_limit(tier))]


def _other_limit(record: Record, pool: OnPool, own: Installation) -> list[Step]:
    """Return how a pod gets the limit of the tier that it has, if it has another and is not above it."""
    found, tier = pool.subvolume, record.state.tier
    if found is None or found.size is None or tier is None:
        return []
    limit = own.storage_limit(tier)
    return [LimitSubvolume(found.uuid, limit)] if found.size.used <= limit != found.size.limit else []


def _begun(pool: OnPool) -> list[Step]:
    """Return how to remove what was begun for a pod and never got its name: nobody has written to it."""
    return [RemoveSubvolume(uuid, begun=name) for name, uuid in sorted(pool.begun.items())]


def looks_on_pool(record: Record, own: Installation) -> bool:
    """Whether a pool has to be looked at to know what there is of a pod."""
    undecided = record.state.system is None and own.system_volumes is SystemMode.POOL
    return undecided or is_pooled(record.state.system)


def labelled_subvolume(labels: Mapping[str, str]) -> Subvolume | None:
    """Return what `subvolume_labels` wrote, None if there is none.

    Raises InvalidInputError for what it did not write.
    """
    return naming.read_label(labels, naming.LABEL_SUBVOLUME, SUBVOLUME, "which subvolume holds the data")


def adopted_subvolume(volumes: Mapping[str, ObservedVolume]) -> Subvolume | None:
    """Return the subvolume into which the volumes of a pod point whose record is lost."""
    found = (labelled_subvolume(volume.labels) for volume in volumes.values())
    return next(filter(None, found), None)


def subvolume_labels(record: Record) -> dict[str, str]:
    """Return the label that says which subvolume holds a pod's data."""
    known = record.state.subvolume
    return {} if known is None else {naming.LABEL_SUBVOLUME: SUBVOLUME.dump_json(known).decode()}
