"""What all pods of a host use together, and the few that use most. Pure, and it names no pod."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

RANKS: Final = ("first", "second", "third", "fourth", "fifth")

Answer = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the pods that were measured; what counts from a start is a rate between two measurements."""

    memory_bytes: float
    pids: float
    largest: Mapping[str, float]
    """Rank to bytes of memory."""
    cpus: float | None = None
    """Processors in use; None, like the rates, if nothing was measured twice."""
    busiest: Mapping[str, float] = field(default_factory=dict)
    """Rank to processors in use."""
    network: Mapping[str, float] = field(default_factory=dict)
    """Direction to bytes per second."""
    blocks: Mapping[str, float] = field(default_factory=dict)
    """Direction to bytes per second."""


def totals(before: Sequence[Answer], now: Sequence[Answer]) -> Totals:
    """Return what the pods of a `pods.stats` use `now`; `before` is the measurement ahead of it."""
    earlier = {pod["pod_id"]: pod for pod in before}
    pairs = [(earlier[pod["pod_id"]], pod) for pod in now if _same_run(earlier.get(pod["pod_id"]), pod)]
    memory = [pod["memory_bytes"] or 0 for pod in now]
    sums = Totals(
        memory_bytes=float(sum(memory)),
        pids=float(sum(pod["pids"] or 0 for pod in now)),
        largest=_ranked(memory),
    )
    if not pairs:
        return sums
    cpus = [_rate("cpu_seconds", *pair) for pair in pairs]
    return Totals(
        memory_bytes=sums.memory_bytes,
        pids=sums.pids,
        largest=sums.largest,
        cpus=sum(cpus),
        busiest=_ranked(cpus),
        network=_directions(pairs, received="network_received_bytes", sent="network_sent_bytes"),
        blocks=_directions(pairs, read="block_read_bytes", written="block_written_bytes"),
    )


def _same_run(before: Answer | None, now: Answer) -> bool:
    """Whether both are of one start of a container, and apart: another one counts from 0 again."""
    return (
        before is not None
        and before["started_at"] == now["started_at"]
        and before["measured_at"] < now["measured_at"]
    )


def _rate(key: str, before: Answer, now: Answer) -> float:
    seconds = datetime.fromisoformat(now["measured_at"]) - datetime.fromisoformat(before["measured_at"])
    return max(0.0, ((now[key] or 0) - (before[key] or 0)) / seconds.total_seconds())


def _directions(pairs: Sequence[tuple[Answer, Answer]], **keys: str) -> dict[str, float]:
    return {direction: sum(_rate(key, *pair) for pair in pairs) for direction, key in keys.items()}


def _ranked(numbers: Sequence[float]) -> dict[str, float]:
    return dict(zip(RANKS, map(float, sorted(numbers, reverse=True)), strict=False))
