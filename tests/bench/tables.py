"""The measurements as tables for people, from the file of a run."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

from rich.table import Table

from tests.bench.neighbours import ratios

Found = Mapping[str, Any]
"""What a run has measured, as its JSON file has it."""
ONE: Final = "one pod"
MANY: Final = "20 pods at once"
LOST: Final = "50 pods lost at once"
KEPT: Final = ", /usr kept"
"""Ends the names of contenders whose pods have system volumes."""
POOL: Final = ", on a pool"
"""Ends the name of the contender whose pods are on a pool; its floor is the Engine's own way."""
COLUMNS: Final = ("", "floor", "ours", "ours / floor", "docker CLI", "compose", "compose / ours")


def compared(found: Found) -> Table:
    """Return medians with their ranges, in milliseconds; the floor is what the Engine itself takes."""
    table = Table(title=_title(found), title_justify="left", caption=_caption(found), caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for row in rows(found):
        table.add_row(*row)
    return table


def rows(found: Found) -> Iterator[list[str]]:
    for section in (ONE, MANY, LOST):
        for operation, times in found.get(section, {}).items():
            yield [f"{operation}, {section}", *_cells(times, "")]
            if f"ours{KEPT}" in times:
                yield [f"{operation}, {section}{KEPT}", *_cells(times, KEPT)]
            if f"ours{POOL}" in times:
                others = {f"{name}{POOL}": times[name] for name in ("floor", "compose") if name in times}
                yield [f"{operation}, {section}{POOL}", *_cells({**times, **others}, POOL)]
    crash = found.get("crash to running")
    if crash:
        docker, ours = ([time / 1000 for time in crash[side]] for side in ("restart=always", "ours"))
        ratio = f"{median(ours) / median(docker):.2f}"
        yield ["crash to running (floor: restart=always)", _ms(docker), _ms(ours), ratio, "", "", ""]


def alone(found: Found) -> Table:
    """Return what only we have: passes, memory, the queue, system volumes."""
    table = Table(title="ours alone", title_justify="left", show_header=False)
    for each in found.get("idle pass", ()):
        table.add_row(
            f"a pass over {each['pods']} pods that finds nothing to do",
            f"{each['wall_ms']:.0f} ms, {each['wall_ms'] / each['lists_ms']:.2f} x the two list calls, "
            f"{each['cpu_ms']:.0f} ms of processor, {each['engine_calls']} Engine calls, "
            f"{each['redis_round_trips']} Redis round trips",
        )
    if "idle pass grows" in found:
        table.add_row("its growth", f"pods to the power of {found['idle pass grows']:.2f}")
    if beside := found.get("beside others"):
        for pods, times in ratios(beside)[1:]:
            shown = ", ".join(f"{name} x {ratio:.2f}" for name, ratio in times.items())
            table.add_row(f"one pod beside {pods} others, by what it is beside {beside[0]['pods']}", shown)
    for each in found.get("footprint", ()):
        table.add_row(
            f"worker and beat, {each['pods']} pods",
            f"{each['pss_mb']:.0f} MB (PSS), {each['idle_cpu_percent']:.2f} % of a core over "
            f"{each['watched_s']:.0f} s, up in {each['start_s']:.1f} s",
        )
    if queue := found.get("queue"):
        told = f"{queue['round_trip_ms']:.1f} ms, {queue['tasks_per_s']:.0f} in a second"
        table.add_row("a task that does nothing", told)
    if listed := found.get("listing"):
        ratio = listed["ours_ms"] / listed["docker_ms"]
        table.add_row(
            f"`pinacle pods ls` at {listed['pods']} pods",
            f"{listed['ours_ms']:.0f} ms, {listed['ours_cpu_ms']:.0f} ms of processor; `docker ps` "
            f"{listed['docker_ms']:.0f} ms, {listed['docker_cpu_ms']:.0f} ms of processor: x {ratio:.1f}",
        )
    for mode, cost in found.get("system volumes", {}).items():
        table.add_row(
            f"creating a pod, system volumes {mode}",
            f"{median(cost['create_ms']):.0f} ms, {median(cost['disk_mb']):.1f} MB of disk",
        )
    return table


def comparison(before: Found, now: Found) -> Table:
    """Return the medians of ours in two runs."""
    table = Table(title=f"ours: {before['began']} and {now['began']}", title_justify="left")
    for column in ("", "before", "now", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    old, new = dict(_figures(before)), dict(_figures(now))
    for name in (name for name in new if name in old):
        table.add_row(name, f"{old[name]:.1f}", f"{new[name]:.1f}", f"{new[name] / old[name]:.2f}")
    return table


def markdown(found: Found) -> str:
    """Return the table of `compared` for a README."""
    lines = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)], *rows(found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _figures(found: Found) -> Iterator[tuple[str, float]]:
    for section in (ONE, MANY, LOST):
        for operation, times in found.get(section, {}).items():
            for name in times:
                if name.startswith("ours"):
                    yield f"{operation}, {section}{name.removeprefix('ours')}, ms", 1000 * median(times[name])
    if "crash to running" in found:
        yield "crash to running, ms", median(found["crash to running"]["ours"])
    for each in found.get("idle pass", ()):
        yield f"idle pass, {each['pods']} pods, ms", each["wall_ms"]
    for each in found.get("footprint", ()):
        yield f"memory, {each['pods']} pods, MB", each["pss_mb"]
        yield f"idle processor, {each['pods']} pods, % of a core", each["idle_cpu_percent"]
    if listed := found.get("listing"):
        yield f"`pinacle pods ls`, {listed['pods']} pods, ms", listed["ours_ms"]
    for name, value in found.get("queue", {}).items():
        yield f"queue, {name}", value


def _cells(times: Mapping[str, list[float]], kind: str) -> list[str]:
    floor, ours = times[f"floor{kind}"], times[f"ours{kind}"]
    script, compose = (times.get(f"{name}{kind}") for name in ("docker CLI", "compose"))
    return [
        _ms(floor),
        _ms(ours),
        f"{median(ours) / median(floor):.2f}",
        _ms(script) if script else "",
        _ms(compose) if compose else "",
        f"{median(compose) / median(ours):.2f}" if compose else "",
    ]


def _ms(seconds: list[float]) -> str:
    low, middle, high = (1000 * value for value in (min(seconds), median(seconds), max(seconds)))
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def _title(found: Found) -> str:
    machine = found["machine"]
    return (
        f"{found['began']}, {machine['processors']} processors ({machine['processor']}), "
        f"{machine['memory_gb']} GB, {found['engine']}: milliseconds, median (range)"
    )


def _caption(found: Found) -> str:
    load = f"load before {found['load_before']:.2f}, after {found['load_after']:.2f}"
    marked = "; ".join(
        f"{section}: {', '.join(map(str, numbers))}" for section, numbers in found["disturbed"].items()
    )
    return f"{load}; rounds disturbed by other programs: {marked or 'none'}"
