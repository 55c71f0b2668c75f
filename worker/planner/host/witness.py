"""Whether the storage under the Engine is the host's own although its sentinel is gone.

A prune takes the sentinel as soon as nothing holds it. The pods' own volumes identify the storage too: each
has the incarnation that made it, which no other storage has. An unmounted disk shows none of them.
"""

from collections.abc import Iterable

from worker.planner.volumes.pooled.subvolume import is_pooled
from worker.planner.volumes.storage import storage_problem
from worker.pods.model import Record
from worker.pods.naming import volume_name
from worker.pods.observation import ALIVE, Observation


def is_witness(record: Record, seen: Observation) -> bool:
    """Whether a single pod proves it: it runs on its own volumes, and all of them are there.

    An Engine that shows a running container has had its storage under it since that was started.
    """
    container = seen.container
    if container is None or container.state not in ALIVE or not has_its_volumes(record, seen):
        return False
    return set(container.volumes.values()) >= {
        volume_name(record.pod_id, v.name) for v in record.state.layout
    }


def is_same_storage(pods: Iterable[tuple[Record, Observation]]) -> bool:
    """Whether the pods of a host prove it: one that runs, or all that were ever filled.

    If nothing runs, a single missing volume leaves open whether this is an older or another disk.
    """
    # A pod on a pool has no data of its own there: its volumes are made again wherever they are missing.
    filled = [
        (record, seen)
        for record, seen in pods
        if record.exists and record.state.initialised and not is_pooled(record.state.system)
    ]
    if any(is_witness(record, seen) for record, seen in filled):
        return True
    return bool(filled) and all(has_its_volumes(record, seen) for record, seen in filled)


def has_its_volumes(record: Record, seen: Observation) -> bool:
    """Whether all volumes of a pod are there and its own, by labels: those without any prove nothing."""
    layout = record.state.layout
    if not record.exists or not record.state.initialised or storage_problem(record, seen, layout) is not None:
        return False
    return any(volume.incarnation for volume in layout)
