"""What is told of a pod's room on the disk."""

from typing import Any

from worker.interfaces import DiskUse
from worker.planner.volumes.pooled.subvolume import is_pooled
from worker.pods.model import Installation, Record
from worker.service.moments import moment


def disk_use(record: Record, found: DiskUse | None, own: Installation) -> dict[str, Any]:
    """Return what a pod has on the disk and may have there, None for what is not known.

    On a pool the limit is the one that it really has. Elsewhere nothing ends a pod at what its tier has,
    which changes with that at once, and not only with the next measurement.
    """
    on_pool = found is not None and is_pooled(record.state.system)
    limit = found.limit if found is not None and on_pool else _limit(record, own)
    return {
        "disk_bytes": None if found is None else found.used,
        "disk_limit_bytes": limit,
        "disk_measured_at": None if found is None else moment(found.measured_at),
        "over_quota": None if found is None or limit is None else found.used > limit,
    }


def _limit(record: Record, own: Installation) -> int | None:
    spec = record.intent.spec
    return None if spec is None else own.storage_limit(spec.tier)
