"""Which pods are stopped for what they keep: one row for each reason to leave a pod alone."""

from typing import Any

import pytest

from tests.support.situations import MINE, NOW, ON_POOL, pod, stopped_pod, tombstone
from worker.planner.host.over_quota import over_quota
from worker.pods.model import Record
from worker.pods.observation import ObservedSize

GB = 10**9
GRACE_S = 3600.0


def asked(record: Record, ago_s: float) -> Record:
    return record.evolve(intent=record.intent.evolve(accepted_at=NOW - ago_s))


@pytest.mark.parametrize(
    ("words", "record", "size", "is_stopped"),
    [
        ("it keeps more than it may", asked(pod(), GRACE_S), (21, 20), True),
        ("it keeps what it may", asked(pod(), GRACE_S), (20, 20), False),
        ("it was just started, to make room", asked(pod(), GRACE_S - 1), (21, 20), False),
        ("nothing limits it", asked(pod(), GRACE_S), (21, None), False),
        ("nobody knows what it keeps", asked(pod(), GRACE_S), None, False),
        ("it is stopped", asked(stopped_pod(), GRACE_S), (21, 20), False),
        ("it is deleted", asked(tombstone(), GRACE_S), (21, 20), False),
        ("its pool ends it", asked(pod(system=ON_POOL, subvolume=MINE), GRACE_S), (21, 20), False),
    ],
)
def test_who_is_stopped(words: str, record: Record, size: Any, is_stopped: bool) -> None:
    limit = None if size is None or size[1] is None else size[1] * GB
    sizes = {} if size is None else {"a": ObservedSize(used=size[0] * GB, limit=limit)}
    found = over_quota({"a": record}, sizes, NOW, GRACE_S)
    assert bool(found) == is_stopped, words
    if is_stopped:
        assert "kept 21 GB" in found["a"]
        assert "dev.small may keep 20 GB" in found["a"]
