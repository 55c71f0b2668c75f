"""What pods use, as people read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from worker.cli.inside.usage_tables import cores, size, top_table
from worker.cli.screen import NARROW


def test_processors_in_use_are_a_difference() -> None:
    before = {"measured_at": "2026-11-27T10:00:00.123456789Z", "cpu_seconds": 4.0}
    now = {"measured_at": "2026-11-27T10:00:02.123456789Z", "cpu_seconds": 5.0}
    assert cores(before, now) == 0.5
    assert cores(None, now) is cores(before, None) is cores(now, now) is None
    assert cores(before, now | {"cpu_seconds": 0.1}) is None


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**31, "2.0 GiB")]
)
def test_sizes_are_short(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize("width", [60, 120])
def test_the_busiest_come_first_and_fit(width: int) -> None:
    started = (datetime.now(tz=UTC) - timedelta(hours=3, minutes=5)).isoformat()
    used = {"memory_bytes": 1024**3, "memory_limit_bytes": 2**34, "pids": 3, "started_at": started}
    pods: list[dict[str, Any]] = [
        {"pod_id": "p" * 63, "phase": "storage_missing", "cpus": None, "usage": None},
        {"pod_id": "quiet", "phase": "running", "cpus": 0.01, "usage": used},
        {"pod_id": "busy", "phase": "running", "cpus": 1.5, "usage": used},
    ]
    answer = {"pods": [each | {"restarts": 0, "host": "h"} for each in pods]}
    console = Console(width=width, record=True, color_system=None, quiet=False)
    with console.capture() as drawn:
        console.print(top_table(answer, console, most=2))
    lines = drawn.get().splitlines()
    assert [line.split()[0] for line in lines] == ["POD", "busy", "quiet", "and"]
    assert "1.50" in lines[1]
    assert ("3 h" in lines[1]) == (width > NARROW)
    with console.capture() as drawn:
        console.print(top_table(answer, console, most=None))
    assert all(len(line) <= width for line in drawn.get().splitlines())
    assert "storage_missing" in drawn.get()
