"""What was measured, for people."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from rich.table import Table

from tests.bench.footprint import Footprint
from tests.bench.idle import Pass
from tests.bench.operations import Times
from tests.bench.system import Cost

MANY: Final = 20
"""Pods of the rounds with many at once."""


def crashes(found: Mapping[str, Sequence[float]]) -> Table:
    table = _table("from a container's end to its next start", "median", "range", "x restart=always")
    for side, times in found.items():
        ratio = median(times) / median(found["docker"])
        table.add_row(side, f"{median(times):.0f} ms", _range(times), f"{ratio:.2f}")
    return table


def system(size: float, costs: Mapping[str, Cost]) -> Table:
    title = f"creating a pod of a Debian image of {size:.0f} MB"
    table = _table(title, "median", "range", "x off", "disk a pod")
    for mode, cost in costs.items():
        ratio = median(cost.create_ms) / median(costs["off"].create_ms)
        disk = f"{median(cost.disk_mb):.1f} MB"
        table.add_row(mode, f"{median(cost.create_ms):.0f} ms", _range(cost.create_ms), f"{ratio:.2f}", disk)
    return table


def operations(title: str, found: Times) -> Table:
    """Return medians in milliseconds and, in brackets, ratios to the floor."""
    names = list(next(iter(found.values())))
    table = _table(title, *names)
    for operation, times in found.items():
        floor = median(times["floor"])
        cells = [f"{1000 * median(times[n]):.0f} ms ({median(times[n]) / floor:.2f})" for n in names]
        table.add_row(operation, *cells)
    return table


def queue(found: Mapping[str, float]) -> Table:
    table = _table("the queue: a task that does nothing", "round trip", "throughput")
    table.add_row("pods.list", f"{found['ms']:.1f} ms", f"{found['per_s']:.0f} in a second")
    return table


def idle(passes: Sequence[Pass]) -> Table:
    table = _table("an idle pass", "wall", "x two lists", "processor", "Engine calls", "Redis reads")
    for each in passes:
        table.add_row(
            f"{each.pods} pods",
            f"{each.wall_ms:.0f} ms",
            f"{each.wall_ms / each.lists_ms:.2f}",
            f"{each.cpu_ms:.0f} ms",
            str(each.engine_calls),
            str(each.redis_reads),
        )
    return table


def footprint(found: Footprint) -> Table:
    table = _table("worker and beat", "memory (PSS)", "idle processor", "start-up")
    table.add_row(
        f"{found.pods} pods",
        f"{found.pss_mb:.0f} MB",
        f"{found.idle_cpu_percent:.2f} % of a core, over {found.watched_s:.0f} s",
        f"{found.start_s:.1f} s",
    )
    return table


def comparison(before: Mapping[str, Any], now: Mapping[str, Any]) -> Table:
    """Return medians of ours, in two runs."""
    table = _table(f"ours, {before['began']} and {now['began']}", "before", "now", "ratio")
    for section in ("one pod", f"{MANY} pods at once"):
        for operation, times in now[section].items():
            old = median(before[section][operation]["ours"]) * 1000
            new = median(times["ours"]) * 1000
            table.add_row(f"{operation}, {section}", f"{old:.0f} ms", f"{new:.0f} ms", f"{new / old:.2f}")
    return table


def _range(times: Sequence[float]) -> str:
    return f"{min(times):.0f} to {max(times):.0f}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table
