"""What containers use, as the Engine reads it from their control groups."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.docker.calls import EngineCalls
from worker.errors import NotRunningError
from worker.interfaces import Usage

_NANOSECONDS: Final = 1e9
_CACHE: Final = ("inactive_file", "total_inactive_file")
"""Pages of files that the kernel takes back when it needs memory, in control groups of version 2 and 1."""


class ContainerUsage:
    """`worker.interfaces.Meter` on one real Docker Engine."""

    def __init__(self, *, calls: EngineCalls) -> None:
        self._calls = calls

    async def usage(self, container_id: str, *, deadline_s: float) -> Usage:
        """See `worker.interfaces.Meter`; 2 calls."""
        container = await self._calls.json(
            "container_inspect", "GET", f"containers/{container_id}/json", deadline_s=deadline_s
        )
        # Without `one-shot` the Engine waits for a second reading, a second later.
        entry = await self._calls.json(
            "container_stats",
            "GET",
            f"containers/{container_id}/stats",
            params={"stream": "false", "one-shot": "true"},
            deadline_s=deadline_s,
        )
        return parsed(entry, container["State"]["StartedAt"])


def parsed(entry: Mapping[str, Any], started_at: str) -> Usage:
    """Return what the Engine says about one container. Raises NotRunningError if that has no processes."""
    memory = entry.get("memory_stats") or {}
    pids = entry.get("pids_stats") or {}
    if not memory and not pids:
        raise NotRunningError(
            "pod_id: its container does not run, so it uses nothing; allowed: a running pod"
        )
    networks = (entry.get("networks") or {}).values()
    blocks = (entry.get("blkio_stats") or {}).get("io_service_bytes_recursive")
    return Usage(
        measured_at=entry["read"],
        started_at=started_at,
        cpu_seconds=entry["cpu_stats"]["cpu_usage"]["total_usage"] / _NANOSECONDS,
        memory_bytes=_without_cache(memory),
        memory_limit_bytes=memory.get("limit"),
        pids=pids.get("current"),
        pids_limit=pids.get("limit"),
        network_received_bytes=sum(each["rx_bytes"] for each in networks),
        network_sent_bytes=sum(each["tx_bytes"] for each in networks),
        block_read_bytes=_moved(blocks, "read"),
        block_written_bytes=_moved(blocks, "write"),
    )


def _without_cache(memory: Mapping[str, Any]) -> int | None:
    """Return the memory that cannot be taken back, as `docker stats` has it."""
    used: int | None = memory.get("usage")
    if used is None:
        return None
    details = memory.get("stats") or {}
    cache = next((int(details[key]) for key in _CACHE if key in details), 0)
    return used - cache if cache < used else used


def _moved(blocks: Sequence[Mapping[str, Any]] | None, direction: str) -> int | None:
    """Return bytes in one direction; None if the kernel does not count them."""
    if blocks is None:
        return None
    return sum(int(each["value"]) for each in blocks if each["op"].lower() == direction)
