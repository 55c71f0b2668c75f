"""What `pinacle doctor` concludes from the pods' records."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from worker.cli.doctor.checks import Check, fail, ok, warn
from worker.pods.model import Phase, Record, newer_keys

LONG_S: Final = 600.0
"""Seconds after the request at which a pod that is still not done is named."""
_TROUBLE: Final = (Phase.STORAGE_MISSING, Phase.FAILED, Phase.BACKOFF)
"""The worst first."""
_ON_THEIR_WAY: Final = frozenset({Phase.PENDING, Phase.DELETING})
_MOST_NAMED: Final = 5
_MOST_LETTERS: Final = 160


def pods(records: Mapping[str, Record], now: float) -> Check:
    """Whether any pod is in trouble; `now` is in seconds since the epoch, as `accepted_at` is."""
    name = "pods"
    readable = [record for record in records.values() if record.unreadable is None]
    there = [record for record in readable if record.state.phase is not Phase.DELETED]
    numbers = Counter(record.state.phase for record in there)
    told = ", ".join(f"{numbers[phase]} {phase}" for phase in Phase if numbers[phase]) or "none"
    bad = [record for phase in _TROUBLE for record in there if record.state.phase is phase]
    bad += [record for record in there if _is_late(record, now)]
    if not bad:
        return ok(name, told)
    more = f"; and {len(bad) - _MOST_NAMED} more" if len(bad) > _MOST_NAMED else ""
    detail = f"{told}. In trouble: {'; '.join(map(_why, bad[:_MOST_NAMED]))}{more}"
    remedy = f"`pinacle pods get {bad[0].pod_id}` says what keeps it and what to do"
    judge = fail if numbers[Phase.STORAGE_MISSING] else warn
    return judge(name, detail, remedy)


def records(found: Mapping[str, Record]) -> Check:
    """Whether this version can read all records and knows everything in them."""
    name = "records"
    unreadable = sorted(pod_id for pod_id, record in found.items() if record.unreadable is not None)
    if unreadable:
        first = found[unreadable[0]].unreadable
        return fail(
            name,
            f"{len(unreadable)} cannot be read: {_named(unreadable)}. {first.reason if first else ''}",
            "run the version that wrote them, or restore them from a backup of Redis; `pinacle pods delete` "
            "works, and their containers are left alone until then",
        )
    newer = {pod_id: newer_keys(record.intent) | newer_keys(record.state) for pod_id, record in found.items()}
    keys = sorted(frozenset[str]().union(*newer.values()))
    if keys:
        ids = sorted(pod_id for pod_id, those in newer.items() if those)
        return warn(
            name,
            f"{len(ids)} have what this version does not know ({', '.join(keys)}): {_named(ids)}",
            "a newer worker wrote them: upgrade this one too; it keeps what it does not know, unused",
        )
    return ok(name, f"{len(found)}, of this version or an older one")


def _is_late(record: Record, now: float) -> bool:
    return record.state.phase in _ON_THEIR_WAY and now - record.intent.accepted_at > LONG_S


def _why(record: Record) -> str:
    reason = record.state.reason or "it does not say why"
    short = reason if len(reason) <= _MOST_LETTERS else f"{reason[:_MOST_LETTERS]}..."
    return f"{record.pod_id} is {record.state.phase}: {short}"


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - _MOST_NAMED} more" if len(ids) > _MOST_NAMED else ""
    return ", ".join(ids[:_MOST_NAMED]) + more
