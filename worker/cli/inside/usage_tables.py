"""What pods use, for people."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.screen import NARROW, plain
from worker.cli.tables import word

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP: Final = 1024
_UNKNOWN: Final = "-"
_AGES: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

Answer = Mapping[str, Any]


def size(count: int | None) -> str:
    """Return bytes in a unit that keeps the number short."""
    if count is None:
        return _UNKNOWN
    value, unit = float(count), 0
    while value >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{count} B"


def cores(before: Answer | None, now: Answer | None) -> float | None:
    """Return how many processors were in use between two readings; None if these do not say."""
    if before is None or now is None:
        return None
    seconds = (_at(now["measured_at"]) - _at(before["measured_at"])).total_seconds()
    used = now["cpu_seconds"] - before["cpu_seconds"]
    # A container that was started in between counts from 0 again.
    return round(used / seconds, 3) if seconds > 0 and used >= 0 else None


def stats_table(answer: Answer, console: Console) -> RenderableType:
    """Return what each pod uses, and below it which ones could not be measured."""
    if not answer["pods"] and not answer["unmeasured"]:
        return Text("no pod runs", style="dim")
    wide = console.width >= NARROW
    table = _table(
        "POD", "CPU TIME", "MEMORY", "PIDS", *(("DISK", "NETWORK IN/OUT", "BLOCKS IN/OUT") if wide else ())
    )
    for pod in answer["pods"]:
        network = f"{size(pod['network_received_bytes'])} / {size(pod['network_sent_bytes'])}"
        blocks = f"{size(pod['block_read_bytes'])} / {size(pod['block_written_bytes'])}"
        table.add_row(
            plain(pod["pod_id"]),
            f"{pod['cpu_seconds']:.1f} s",
            _memory(pod),
            _count(pod["pids"]),
            # An older worker does not measure it.
            *((size(pod.get("disk_bytes")), network, blocks) if wide else ()),
        )
    return Group(table, *_unmeasured(answer["unmeasured"]))


def top_table(answer: Answer, console: Console, *, most: int | None) -> RenderableType:
    """Return pods, the busiest first, `most` of them at most."""
    pods = sorted(answer["pods"], key=lambda pod: (-(pod["cpus"] or 0.0), pod["pod_id"]))
    if not pods:
        return Text("no pods", style="dim")
    wide = console.width >= NARROW
    table = _table(
        "POD", "PHASE", "CPUS", "MEMORY", *(("DISK", "PIDS", "RESTARTS", "UP", "HOST") if wide else ())
    )
    for pod in pods[:most]:
        used = pod["usage"]
        more = (
            size(None if used is None else used.get("disk_bytes")),
            _UNKNOWN if used is None else _count(used["pids"]),
            str(pod["restarts"]),
            # An older worker does not say when it was started, or measure the disk.
            _since(None if used is None else used.get("started_at")),
            plain(pod["host"] or ""),
        )
        table.add_row(
            plain(pod["pod_id"]),
            word(pod["phase"]),
            _UNKNOWN if pod["cpus"] is None else f"{pod['cpus']:.2f}",
            _UNKNOWN if used is None else _memory(used),
            *(more if wide else ()),
        )
    left = len(pods) - len(pods[:most])
    rest = [Text(f"and {left} more", style="dim")] if left else []
    return Group(table, *rest)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, head in enumerate(heads):
        # A pod's id, the first, is the only thing that is cut: rich narrows what may be wrapped first.
        table.add_column(head, no_wrap=place > 0, overflow="ellipsis")
    return table


def _memory(used: Answer) -> str:
    return f"{size(used['memory_bytes'])} / {size(used['memory_limit_bytes'])}"


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)


def _unmeasured(pods: Sequence[Answer]) -> list[Text]:
    return [Text(plain(f"{each['pod_id']}: {each['reason']}")) for each in pods]


def _since(moment: str | None) -> str:
    """Return how long ago that was, in one unit."""
    if moment is None:
        return _UNKNOWN
    seconds = max(0.0, (datetime.now(tz=UTC) - _at(moment)).total_seconds())
    length, unit = next((each for each in _AGES if seconds >= each[0]), _AGES[-1])
    return f"{seconds // length:.0f} {unit}"


def _at(moment: str) -> datetime:
    return datetime.fromisoformat(moment)
