"""`make bench`: measures against the Engine's floor on this machine, in this run. It never judges."""

import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.crash import crash_to_running
from tests.bench.system import system_volumes
from tests.conftest import CACHE
from tests.support.stack import own_stack
from worker.local.packages import ENGINE, require

ROUNDS: Final = 9


def main() -> None:
    require(*ENGINE)
    scratch = Path(tempfile.mkdtemp(prefix="pin-"))
    console = Console()
    try:
        with own_stack(scratch, {"PINACLE_LOG_FORMAT": "json"}) as stack:
            console.print(_crashes(crash_to_running(stack, ROUNDS)))
            size, costs = system_volumes(stack, CACHE, ROUNDS)
            table = _table(f"a pod of a Debian image of {size:.0f} MB", "x off", "disk a pod")
            for mode, cost in costs.items():
                table.add_row(mode, *cost.row(costs["off"]))
            console.print(table)
    finally:
        shutil.rmtree(scratch)


def _crashes(found: dict[str, list[float]]) -> Table:
    table = _table("from a container's end to its next start", "x restart=always")
    for side, times in found.items():
        ratio = median(times) / median(found["docker"])
        spread = f"{min(times):.0f} to {max(times):.0f}"
        table.add_row(side, f"{median(times):.0f} ms", spread, f"{ratio:.2f}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=f"{title}; {ROUNDS} rounds", title_justify="left")
    for column in ("", "median", "range", *columns):
        table.add_column(column, justify="left" if not column else "right")
    return table


if __name__ == "__main__":
    main()
