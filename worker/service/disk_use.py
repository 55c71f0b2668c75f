"""What is told of a pod's room on the disk."""

from typing import Any

from worker.interfaces import DiskUse
from worker.pods.model import Installation, Record
from worker.service.moments import moment


def disk_use(record: Record, found: DiskUse | None, own: Installation) -> dict[str, Any]:
    """Return what a pod has on the disk and may have there, None for what is not known.

    Without a pool nothing ends a pod at its limit, which is what its tier has.
    """
    limit = _limit(record, own) if found is None or found.limit is None else found.limit
    return {
        "disk_bytes": None if found is None else found.used,
        "disk_limit_bytes": limit,
        "disk_measured_at": None if found is None else moment(found.measured_at),
        "over_quota": None if found is None or limit is None else found.used > limit,
    }


def _limit(record: Record, own: Installation) -> int | None:
    spec = record.intent.spec
    return None if spec is None else own.storage_limit(spec.tier)
