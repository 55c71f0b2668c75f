"""`make bench`: measures against the Engine's floor on this machine, in the same run. It never judges."""

import argparse
import compileall
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from rich.console import Console
from rich.status import Status

from tests.bench import tables
from tests.bench.contenders import Compose, Contender, Floor, Ours, Script, Template, our_worker
from tests.bench.crash import crash_to_running
from tests.bench.crowd import Crowd, crowd
from tests.bench.footprint import Footprint, queue_overhead, watched
from tests.bench.idle import Pass, growth, idle_pass
from tests.bench.leftovers import remove_leftovers, scratch_folder
from tests.bench.listing import listing
from tests.bench.machine import Disturbances, described, load
from tests.bench.neighbours import Beside, tasks_beside
from tests.bench.operations import Course
from tests.bench.picture import draw
from tests.bench.system import system_volumes
from tests.conftest import CACHE
from tests.support.stack import Stack, own_stack
from tests.support.worker import ROOT
from worker.local.compose import compose_program
from worker.local.images import import_debian, import_helper
from worker.local.packages import ENGINE, MissingProgramsError, require
from worker.local.pool_file import SIMPLE_QUOTAS, PoolFile
from worker.local.private_engine import EngineFailedError, PrivateEngine

RESULTS: Final = ROOT / ".pinacle" / "bench"
AT_ONCE: Final = 20
LOST: Final = 50
FEW: Final = 10
"""Pods beside which one pod's tasks take what they take alone."""
SIZES: Final = (100, 300, 1000)
WATCHED: Final = 1000
"""Pods of the host whose idle worker is watched while everything else is measured."""
LARGEST: Final = 3000
RUNNING: Final = 3
"""Of these pods; the others are stopped."""
BUSY: Final = 0.5
"""A load above this before the run begins is somebody else's."""
_COPIES: Final = 2
"""Rounds of what system volumes cost: a copy of an image takes seconds, and about the same each time."""
_POOL_BYTES: Final = 32 * 2**30
_SETTINGS: Final = {"PINACLE_LOG_FORMAT": "json", "PINACLE_MIN_FREE_MB": "100"}

_screen: Final = Console()


def main() -> None:
    given = _arguments()
    if os.geteuid() != 0:
        raise SystemExit("error: a private Engine needs root: run this as root")
    try:
        require(*ENGINE)
        found = _run(given.rounds, given.idle_seconds)
    except (MissingProgramsError, EngineFailedError) as error:
        raise SystemExit(f"error: no private Engine can be had here: {error}") from None
    path = _write(found)
    _screen.print(tables.compared(found), tables.alone(found))
    if given.compare is not None:
        _screen.print(tables.comparison(json.loads(given.compare.read_text()), found))
    _screen.print(f"written: {path}, with a picture and a table beside it", soft_wrap=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=300.0, help="to watch an idle worker for")
    parser.add_argument("--compare", type=Path, help="a file that an earlier run wrote")
    given = parser.parse_args()
    if given.compare is not None and not given.compare.is_file():
        parser.error(f"--compare: {given.compare} is not a file; allowed: one of {RESULTS}")
    return given


def _run(rounds: int, idle_s: float) -> dict[str, Any]:
    for folder in remove_leftovers():
        _screen.print(f"[yellow]Removed what an aborted run had left in {folder}.[/]")
    found: dict[str, Any] = {
        "machine": described(),
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "load_before": load(),
    }
    if load() > BUSY:
        _screen.print(f"[yellow]This machine is busy (load {load():.2f}): expect noise.[/]")
    # As in an installation: a process that compiles its own code at its start takes more memory.
    for package in ("config", "worker", "tasks"):
        compileall.compile_dir(ROOT / package, quiet=1)
    began = monotonic()
    with scratch_folder() as folder, _screen.status("setting the stage") as status:
        run = _Run(folder=folder, found=found, rounds=rounds, idle_s=idle_s, status=status)
        run.measure()
    noise = run.noise
    found |= {"load_after": load(), "disturbed": noise.disturbed(), "others": dict(noise.shares)}
    found["took_s"] = round(monotonic() - began)
    return found


class _Run:
    """One run: what it has found, and where it works."""

    def __init__(
        self, *, folder: Path, found: dict[str, Any], rounds: int, idle_s: float, status: Status
    ) -> None:
        self._folder = folder
        self._found = found
        self._rounds = rounds
        self._idle_s = idle_s
        self._status = status
        self._began = monotonic()
        self.noise = Disturbances(folder)

    def measure(self) -> None:
        with crowd(self._folder / "crowd", running=RUNNING) as many:
            self._measure_host(many)

    def _tell(self, what: str) -> None:
        line = f"{monotonic() - self._began:.0f} s: {what}"
        if _screen.is_terminal:
            self._status.update(line)
        else:
            _screen.print(line)

    def _measure_host(self, many: Crowd) -> None:
        """Measure a host with more and more pods, and the rest while its worker has nothing to do."""
        passes, prints, beside = list[Pass](), list[Footprint](), list[Beside]()
        self._tell("worker and beat without any pod")
        with watched(self._folder / "empty", _SETTINGS | many.environment, pods=0) as measure:
            sleep(15)  # an idle system has no event to wait for
            prints.append(measure())
        beside.append(self._beside(many, FEW))
        for size in SIZES:
            passes.append(self._pass(many, size))
        beside.append(self._beside(many, SIZES[-1]))
        with watched(self._folder / "watched", _SETTINGS | many.environment, pods=WATCHED) as measure:
            began = monotonic()
            with own_stack(self._folder, _SETTINGS) as stack:
                self._measure_stack(stack)
            self._tell("an idle worker")
            sleep(max(0.0, self._idle_s - (monotonic() - began)))
            prints.append(measure())
        passes.append(self._pass(many, LARGEST))
        beside.append(self._beside(many, LARGEST))
        self._found["beside others"] = [asdict(each) for each in beside]
        self._found["idle pass"] = [asdict(each) for each in passes]
        self._found["idle pass grows"] = growth(passes)
        self._found["footprint"] = [asdict(each) for each in prints]

    def _pass(self, many: Crowd, size: int) -> Pass:
        self._tell(f"an idle pass over {size} pods")
        many.grow(size)
        return idle_pass(many)

    def _beside(self, many: Crowd, size: int) -> Beside:
        self._tell(f"one pod beside {size} others")
        many.grow(size)
        return tasks_beside(many)

    def _measure_stack(self, stack: Stack) -> None:
        found, rounds = self._found, self._rounds
        found["engine"] = f"Docker {stack.engine.docker('version', '-f', '{{.Server.Version}}').strip()}"
        self._tell("the queue")
        found["queue"] = queue_overhead(stack.client, 50, 500)
        self._tell("the list of pods")
        found["listing"] = asdict(listing(stack, rounds))
        self._tell("crash to running")
        with self.noise.round("crash to running"):
            found["crash to running"] = crash_to_running(stack, rounds)
        with _contenders(stack, self._folder) as contenders:
            course = Course(stack.engine, self.noise, self._tell)
            found[tables.ONE] = course.one(contenders, rounds)
            # The others would take as long again, and say nothing that one pod does not.
            names = ("floor", "ours", "compose", f"ours{tables.POOL}")
            few = [each for each in contenders if each.name in names]
            found[tables.MANY] = course.many(few, rounds, AT_ONCE)
            found[tables.LOST] = course.lost(few, rounds, LOST)
        self._tell("what system volumes cost")
        costs = system_volumes(stack, CACHE, _COPIES)
        found["system volumes"] = {mode: asdict(cost) for mode, cost in costs.items()}


@contextmanager
def _contenders(stack: Stack, scratch: Path) -> Iterator[list[Contender]]:
    image = import_debian(stack.engine, CACHE)
    folder = scratch / "compose"
    folder.mkdir()
    given = stack.worker.settings
    with ExitStack() as ends:
        off = {"PINACLE_SYSTEM_VOLUMES": "off", "PINACLE_INSTALLATION": "off", "PINACLE_NETWORK": "off"}
        _, plain = ends.enter_context(our_worker(scratch / "off", given, "off", **off))
        ours = [Ours("ours", plain, image), Ours(f"ours{tables.KEPT}", stack.client, image)]
        floors = [_floor(stack.engine, our, ends) for our in ours]
        pooled = _on_pool(stack, scratch / "pool", image, ends)
        script = Script(stack.engine, image)
        compose = Compose(stack.engine, image, compose_program(CACHE), folder)
        yield [floors[0], ours[0], script, compose, floors[1], ours[1], *pooled]


def _on_pool(stack: Stack, scratch: Path, image: str, ends: ExitStack) -> list[Contender]:
    """Return ours with its pods on a pool, nothing where the kernel cannot have one."""
    if not SIMPLE_QUOTAS.exists():
        _screen.print("[yellow]This machine's kernel can have no pool: that is left out.[/]")
        return []
    helper = import_helper(stack.engine, CACHE)
    pool = PoolFile(stack.engine, helper, "bench", size_bytes=_POOL_BYTES)
    pool.mount()
    ends.callback(pool.unmount)
    own = {"PINACLE_INSTALLATION": "pool", "PINACLE_NETWORK": "pool"}
    there = {"PINACLE_POOL": str(pool.place), "PINACLE_HELPER_IMAGE": helper}
    _, client = ends.enter_context(our_worker(scratch, stack.worker.settings, "pool", **own, **there))
    return [Ours(f"ours{tables.POOL}", client, image)]


def _floor(engine: PrivateEngine, ours: Ours, ends: ExitStack) -> Floor:
    """Return the floor for what `ours` makes."""
    ours.create(["template"])
    floor = Floor(ours.name.replace("ours", "floor"), engine, Template.of(engine, "template"))
    ours.delete(["template"])
    ends.callback(floor.close)
    return floor


def _write(found: dict[str, Any]) -> Path:
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{found['began'].replace(':', '').replace('+0000', 'Z')}.json"
    path.write_text(json.dumps(found, indent=1))
    path.with_suffix(".md").write_text(tables.markdown(found))
    draw(found, path.with_suffix(".png"))
    return path


if __name__ == "__main__":
    main()
