"""`make bench`: measures against the Engine's floor on this machine, in this run. It never judges."""

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import tables
from tests.bench.contenders import Compose, Contender, Floor, Ours, Script, our_worker
from tests.bench.crash import crash_to_running
from tests.bench.footprint import footprint, queue_overhead
from tests.bench.idle import idle_passes
from tests.bench.operations import at_once, one_at_a_time
from tests.bench.recovery import all_lost
from tests.bench.system import system_volumes
from tests.conftest import CACHE
from tests.support.stack import Stack, own_stack
from worker.local.compose import compose_program
from worker.local.images import import_debian
from worker.local.packages import ENGINE, require

RESULTS: Final = Path(__file__).parents[2] / ".pinacle" / "bench"
LOST: Final = 50
SIZES: Final = (100, 300, 1000)
BUSY: Final = 0.5
"""A load above this before the run began is somebody else's."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=90.0)
    parser.add_argument("--compare", type=Path, help="a file that an earlier run wrote")
    given = parser.parse_args()
    require(*ENGINE)
    console = Console()
    found: dict[str, Any] = {"machine": _machine(), "began": datetime.now(UTC).isoformat(timespec="seconds")}
    if found["machine"]["load"] > BUSY:
        console.print(f"[yellow]This machine is busy (load {found['machine']['load']}): expect noise.[/]")
    scratch = Path(tempfile.mkdtemp(prefix="pin-"))
    try:
        with own_stack(scratch, {"PINACLE_LOG_FORMAT": "json", "PINACLE_MIN_FREE_MB": "100"}) as stack:
            _measure(stack, scratch, found, console, rounds=given.rounds, idle_s=given.idle_seconds)
    finally:
        shutil.rmtree(scratch)
    found["load_after"] = os.getloadavg()[0]
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{found['began'].replace(':', '')}.json"
    path.write_text(json.dumps(found, indent=1))
    console.print(f"written to {path}")
    if given.compare is not None:
        console.print(tables.comparison(json.loads(given.compare.read_text()), found))


def _measure(
    stack: Stack, scratch: Path, found: dict[str, Any], console: Console, *, rounds: int, idle_s: float
) -> None:
    crashes = found["crash_to_running_ms"] = crash_to_running(stack, rounds)
    console.print(tables.crashes(crashes))
    size, costs = system_volumes(stack, CACHE, rounds)
    found["system_volumes"] = {mode: asdict(cost) for mode, cost in costs.items()}
    console.print(tables.system(size, costs))
    with _contenders(stack, scratch) as contenders:
        for title, times in (
            ("one pod", one_at_a_time(stack.engine, contenders, rounds)),
            (f"{tables.MANY} pods at once", at_once(stack.engine, contenders, rounds, tables.MANY)),
        ):
            found[title] = times
            console.print(tables.operations(title, times))
        found["all lost"] = all_lost(stack.engine, _without_script(contenders), 3, LOST)
        console.print(tables.operations(f"{LOST} pods lost at once", {"all run again": found["all lost"]}))
    found["queue"] = dict(zip(("ms", "per_s"), queue_overhead(stack.client, 50, 500), strict=True))
    console.print(tables.queue(found["queue"]))
    passes = idle_passes(stack.engine, scratch / "idle", "pinacle-busybox", SIZES, running=3)
    found["idle_pass"] = [asdict(each) for each in passes]
    console.print(tables.idle(passes))
    idle = footprint(scratch / "foot", stack.worker.settings, pods=0, watched_s=idle_s)
    found["footprint"] = asdict(idle)
    console.print(tables.footprint(idle))


def _without_script(contenders: list[Contender]) -> list[Contender]:
    return [contender for contender in contenders if not isinstance(contender, Script)]


@contextmanager
def _contenders(stack: Stack, scratch: Path) -> Iterator[list[Contender]]:
    image = import_debian(stack.engine, CACHE)
    folder = scratch / "compose"
    folder.mkdir()
    floor = Floor(stack.engine, image)
    given = stack.worker.settings
    with our_worker(scratch / "off", given, "off", PINACLE_SYSTEM_VOLUMES="off") as (_, plain):
        yield [
            floor,
            Ours("ours, off", plain, image),
            Ours("ours", stack.client, image),
            Script(stack.engine, image),
            Compose(stack.engine, image, compose_program(CACHE), folder),
        ]
    floor.close()


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
