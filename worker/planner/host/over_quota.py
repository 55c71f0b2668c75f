"""Which pods are stopped because they keep more than they may, where nothing else holds them to it."""

from collections.abc import Mapping

from worker.planner.volumes.pooled.subvolume import is_pooled
from worker.pods.model import IntentKind, Record
from worker.pods.observation import ObservedSize


def over_quota(
    records: Mapping[str, Record], sizes: Mapping[str, ObservedSize], now: float, grace_s: float
) -> dict[str, str]:
    """Return each pod that is to be stopped, and why.

    For `grace_s` after it was last asked to run a pod goes on, so that its owner can start it and make room.
    `now` is in seconds since the epoch. On a pool the filesystem itself holds the limit.
    """
    return {
        pod_id: _reason(record, sizes[pod_id])
        for pod_id, record in sorted(records.items())
        if pod_id in sizes
        and record.intent.kind is IntentKind.RUNNING
        and not is_pooled(record.state.system)
        and _is_over(sizes[pod_id])
        and now - record.intent.accepted_at >= grace_s
    }


def _is_over(size: ObservedSize) -> bool:
    return size.limit is not None and size.used > size.limit


def _reason(record: Record, size: ObservedSize) -> str:
    tier = record.intent.spec.tier if record.intent.spec is not None else "unknown"
    return (
        f"it kept {size.used / 10**9:.3g} GB, and a pod of tier {tier} may keep "
        f"{(size.limit or 0) / 10**9:.3g} GB (PINACLE_SOFT_QUOTA): start it and remove something soon, or "
        "give it a larger tier"
    )
