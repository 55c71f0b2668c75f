"""What is told of a pod's room on the disk."""

from typing import Any, Final

from config.tiers import DEFAULT_TIER, TIERS
from worker.interfaces import DiskUse
from worker.pods.model import Record
from worker.service.moments import moment

_GB: Final = 10**9


def disk_use(record: Record, found: DiskUse | None) -> dict[str, Any]:
    """Return what a pod has on the disk and may have there, None for what is not known.

    Without a pool nothing ends a pod at its limit, which is what its tier has.
    """
    limit = _limit(record) if found is None or found.limit is None else found.limit
    return {
        "disk_bytes": None if found is None else found.used,
        "disk_limit_bytes": limit,
        "disk_measured_at": None if found is None else moment(found.measured_at),
        "over_quota": None if found is None or limit is None else found.used > limit,
    }


def _limit(record: Record) -> int | None:
    spec = record.intent.spec
    tier = TIERS.get(DEFAULT_TIER if spec is None else spec.tier)
    return None if tier is None else tier.storage_gb * _GB
