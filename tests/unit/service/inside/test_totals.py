"""What all pods of a host use together."""

from typing import Any, Final

import pytest

from worker.service.inside.totals import RANKS, totals

_STARTED: Final = "2026-11-27T09:00:00Z"


def used(pod_id: str, second: int, **more: Any) -> dict[str, Any]:
    return {
        "pod_id": pod_id,
        "started_at": _STARTED,
        "measured_at": f"2026-11-27T10:00:{second:02}Z",
        "cpu_seconds": 0.0,
        "memory_bytes": 100,
        "pids": 2,
        "network_received_bytes": 0,
        "network_sent_bytes": 0,
        "block_read_bytes": None,
        "block_written_bytes": 0,
        **more,
    }


def test_counts_are_rates_and_the_rest_is_added_up() -> None:
    before = [used("a", 0), used("b", 0, cpu_seconds=5.0)]
    now = [
        used("a", 10, cpu_seconds=20.0, network_received_bytes=1000, memory_bytes=None),
        used("b", 20, cpu_seconds=6.0, network_sent_bytes=400, block_written_bytes=200, pids=None),
    ]
    found = totals(before, now)
    assert (found.memory_bytes, found.pids) == (100, 2)
    assert found.cpus == pytest.approx(2.05)
    assert found.busiest == pytest.approx({"first": 2.0, "second": 0.05})
    assert found.network == pytest.approx({"received": 100, "sent": 20})
    assert found.blocks == pytest.approx({"read": 0, "written": 10})


@pytest.mark.parametrize(
    "before",
    [
        [],
        [used("other", 0)],
        [used("a", 0, started_at="2026-11-27T08:00:00Z", cpu_seconds=50.0)],
        [used("a", 10)],
    ],
)
def test_without_two_measurements_of_one_run_there_are_no_rates(before: list[dict[str, Any]]) -> None:
    """A container that was started since counts from 0 again: a difference would be nonsense."""
    found = totals(before, [used("a", 10, cpu_seconds=1.0)])
    assert (found.cpus, found.busiest, found.network, found.blocks) == (None, {}, {}, {})
    assert found.memory_bytes == 100


def test_of_many_pods_only_a_few_are_told_and_none_is_named() -> None:
    now = [used(f"pod-{number}", 10, memory_bytes=number) for number in range(900)]
    found = totals([used(f"pod-{number}", 0) for number in range(900)], now)
    assert tuple(found.largest) == tuple(found.busiest) == RANKS
    assert found.largest["first"] == 899
    assert "pod-" not in str(found)
