"""What the Engine says about the use of a container, by both versions of control groups."""

from typing import Any, Final

import pytest

from worker.docker.inside.usage import parsed
from worker.errors import NotRunningError

STARTED: Final = "2026-11-27T09:00:00Z"


def entry(**changed: Any) -> dict[str, Any]:
    return {
        "read": "2026-11-27T10:00:00.123456789Z",
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "memory_stats": {"usage": 100, "limit": 900, "stats": {"inactive_file": 30}},
        "pids_stats": {"current": 3, "limit": 64},
        "networks": {"eth0": {"rx_bytes": 5, "tx_bytes": 6}, "eth1": {"rx_bytes": 1, "tx_bytes": 1}},
        "blkio_stats": {"io_service_bytes_recursive": None},
        **changed,
    }


def test_what_is_counted_is_added_up() -> None:
    blocks = [
        {"op": op, "value": value} for op, value in (("Read", 1), ("read", 2), ("write", 8), ("Sync", 9))
    ]
    seen = parsed(entry(blkio_stats={"io_service_bytes_recursive": blocks}), STARTED)
    assert (seen.cpu_seconds, seen.pids, seen.pids_limit) == (2.5, 3, 64)
    assert (seen.network_received_bytes, seen.network_sent_bytes) == (6, 7)
    assert (seen.block_read_bytes, seen.block_written_bytes) == (3, 8)


@pytest.mark.parametrize(
    ("stats", "used"),
    [
        ({"inactive_file": 30}, 70),
        ({"total_inactive_file": 40}, 60),
        ({"inactive_file": 200}, 100),
        ({}, 100),
    ],
)
def test_memory_is_without_pages_that_can_be_taken_back(stats: dict[str, int], used: int) -> None:
    assert parsed(entry(memory_stats={"usage": 100, "stats": stats}), STARTED).memory_bytes == used


def test_what_is_not_said_is_not_known() -> None:
    """Not 0, which would be a measurement."""
    seen = parsed(entry(memory_stats={}, networks=None), STARTED)
    assert (seen.memory_bytes, seen.memory_limit_bytes, seen.block_read_bytes) == (None, None, None)


def test_a_container_that_does_not_run_uses_nothing() -> None:
    with pytest.raises(NotRunningError):
        parsed(entry(memory_stats={}, pids_stats={}), STARTED)
