"""Answers for people: readable at any width, and without colours."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, zip_longest
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from config.phases import Phase
from worker.cli.screen import NARROW, plain

_STYLES: Final[Mapping[str, str]] = {
    Phase.RUNNING: "green",
    Phase.STOPPED: "dim",
    Phase.DELETED: "dim",
    Phase.PENDING: "yellow",
    Phase.DELETING: "yellow",
    Phase.BACKOFF: "red",
    Phase.STORAGE_MISSING: "red",
    Phase.FAILED: "red",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
    "live": "green",
    "silent": "red",
}
_SHORT_ID: Final = 12
_GAP: Final = 2
"""Columns between two cells."""
LISTED: Final = ["pod_id", "phase", "host", "spec", "restarts", "ports", "last_error", "labels"]
"""What is shown of each pod in a table of many."""
_WIDEST_STATUS: Final = 4
_MB: Final = 10**6
_FEW: Final = 10
"""Megabytes of which tenths are shown."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400

Answer = Mapping[str, Any]


def word(text: str) -> Text:
    """Return a phase or a state in its colour, which says the same as the word."""
    return Text(plain(text), style=_STYLES.get(text, ""))


def pod_line(pod: Answer) -> RenderableType:
    """Return a pod after something was done to it."""
    head = Text.assemble(("pod ", "dim"), (plain(pod["pod_id"]), "bold"), " is ", word(pod["phase"]))
    gone = pod["phase"] == Phase.DELETED
    if pod["host"] and not gone:
        head.append(f" on {plain(pod['host'])}")
    ports = [Text(f"  {port}") for port in map(port_text, () if gone else pod["ports"])]
    changed = [Text(f"  changed: {', '.join(map(plain, pod['changed']))}")] if pod.get("changed") else []
    kept = [Text(f"  {plain(path)} is kept, on a volume of its own now") for path in pod.get("kept", ())]
    return Group(head, *changed, *ports, *kept, *_why([pod]))


def pull_text(pull: Answer) -> str:
    """Return how far a pull has come."""
    digits = 0 if pull["total_bytes"] >= _FEW * _MB else 1
    done, total = (f"{pull[key] / _MB:.{digits}f}" for key in ("done_bytes", "total_bytes"))
    return f"{done} of {total} MB, {pull['done_layers']} of {pull['total_layers']} layers"


def pod_list(answer: Answer, console: Console) -> RenderableType:
    """Return all pods in a table, and below it the reasons of those that are in trouble."""
    pods: Sequence[Answer] = answer["pods"]
    parts: list[RenderableType] = []
    if pods:
        wide = console.width >= NARROW
        parts.append(_pod_table(pods, console.width) if wide else _pod_lines(pods))
    parts += _why(pods)
    if not pods:
        parts.append(Text("no pods", style="dim"))
    if answer.get("next") is not None:
        parts.append(Text(plain(f"there are more: --after {answer['next']}"), style="dim"))
    if (recovering := answer.get("recovering")) is not None:
        parts.append(Text(plain(f"{recovering['host']} repairs pods: {recovering['left']} are left")))
    if "orphans" in answer:
        parts += _orphans(answer["orphans"])
    return Group(*parts)


def pod_details(pod: Answer) -> RenderableType:
    """Return everything about one pod, one fact per line."""
    grid = _grid()
    for name, value in _details(pod):
        if value is not None and value != "":
            grid.add_row(Text(name, style="dim"), value if isinstance(value, Text) else plain(value))
    return grid


def pass_line(answer: Answer) -> RenderableType:
    """Return what a pass found."""
    text = (
        f"{answer['host']}: {answer['pods']} pods, {answer['repairs']} to repair: {answer['repaired']} "
        f"repaired, {answer['pending']} pending, {answer['failed']} failed; {answer['duration_ms']:.0f} ms"
    )
    sent = f"sent to {', '.join(answer['sent_to'])} as well" if answer["sent_to"] else ""
    return Group(*(Text(plain(line)) for line in (text, sent) if line))


def host_list(answer: Answer, console: Console) -> RenderableType:
    """Return hosts with the age of their heartbeats."""
    if not answer["hosts"]:
        return Text("no host has ever reported: start a worker on one", style="dim")
    wide = console.width >= NARROW
    table = _table("HOST", "WORKER", "HEARTBEAT", "PODS", *(["STORAGE"] if wide else []))
    for host in answer["hosts"]:
        state = "live" if host["live"] else "silent"
        storage = [(host["storage"] or "")[:_SHORT_ID]] if wide else []
        table.add_row(
            plain(host["host"]), word(state), _age(host["heartbeat_age_s"]), str(host["pods"]), *storage
        )
    return table


def check_list(answer: Answer) -> RenderableType:
    """Return one line for each check, in groups, and below each failure what to do; then all in one line."""
    checks: Sequence[Answer] = answer["checks"]
    widest = max((len(check["name"]) for check in checks), default=0)
    parts: list[RenderableType] = []
    for group, members in groupby(checks, key=lambda check: check["group"]):
        grid = _grid(3)
        grid.columns[0].min_width = _WIDEST_STATUS
        grid.columns[1].min_width = widest
        for check in members:
            text = Text(plain(check["detail"]))
            if check["remedy"] is not None:
                text.append(f"\n-> {plain(check['remedy'])}", style="bold")
            grid.add_row(word(check["status"]), plain(check["name"]), text)
        parts += [Text(plain(group), style="bold"), grid, Text()]
    return Group(*parts, Text(plain(answer["summary"]), style="bold"))


def change_line(change: Answer) -> Text:
    """Return one change of phase."""
    at = datetime.fromtimestamp(change["at"], tz=UTC).astimezone()
    before = f"{change['previous']} -> " if change["previous"] else ""
    line = Text.assemble(
        (f"{at:%H:%M:%S}  ", "dim"), (plain(change["pod_id"]), "bold"), f"  {before}", word(change["phase"])
    )
    return line.append(f"  {plain(change['reason'])}") if change["reason"] else line


def port_text(port: Answer) -> str:
    return plain(f"{port['address']}:{port['host']} -> {port['container']}/{port['protocol']}")


def labels_text(labels: Answer) -> str:
    return plain(" ".join(f"{name}={value}" for name, value in sorted(labels.items())))


def _pod_table(pods: Sequence[Answer], width: int) -> RenderableType:
    labelled = any(pod.get("labels") for pod in pods)
    head = ("POD", "PHASE", "HOST", "IMAGE", "RESTARTS", "PORTS", *(["LABELS"] if labelled else []))
    rows = [
        (
            plain(pod["pod_id"]),
            plain(pod["phase"]),
            plain(pod["host"] or ""),
            _image(pod),
            str(pod["restarts"]),
            "\n".join(map(port_text, pod["ports"])),
            *([labels_text(pod.get("labels") or {})] if labelled else []),
        )
        for pod in pods
    ]
    quick = _quick_table(head, rows, width)
    if quick is not None:
        return quick
    table = _table(*head)
    for pod_id, phase, *rest in rows:
        table.add_row(pod_id, word(phase), *rest)
    return table


def _quick_table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Text | None:
    """Return the same table, laid out at once: rich takes most of a second for a thousand pods.

    None if it does not fit, or if a cell has letters of other widths; the phase is the second column.
    """
    lines = [line for row in rows for line in zip_longest(*(cell.split("\n") for cell in row), fillvalue="")]
    if not all(cell.isascii() for line in lines for cell in line):
        return None
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    if sum(widths) + _GAP * len(widths) > width:
        return None
    drawn = Text(no_wrap=True)
    for line in (head, *lines):
        cells = [cell.ljust(size + _GAP) for cell, size in zip(line, widths, strict=True)]
        if line is head:
            drawn.append("".join(cells), style="bold")
        else:
            drawn.append(cells[0])
            drawn.append(cells[1], style=_STYLES.get(line[1], ""))
            drawn.append("".join(cells[2:]))
        drawn.append("\n")
    drawn.right_crop(1)
    return drawn


def _pod_lines(pods: Sequence[Answer]) -> RenderableType:
    """Return pods below one another: in a table on a narrow terminal, names would be broken."""
    lines: list[Text] = []
    for pod in pods:
        lines.append(Text.assemble((plain(pod["pod_id"]), "bold"), "  ", word(pod["phase"])))
        lines += [Text(f"  {port}") for port in map(port_text, pod["ports"])]
    return Group(*lines)


def _why(pods: Iterable[Answer]) -> list[RenderableType]:
    """Return what each pod waits for or what went wrong, one line each."""
    return [
        Text.assemble((plain(pod["pod_id"]), "bold"), f": {plain(pod['last_error'])}")
        for pod in pods
        if pod["last_error"]
    ]


def _orphans(orphans: Sequence[Answer]) -> list[RenderableType]:
    if not orphans:
        return [Text("no orphans", style="dim")]
    table = _table("ORPHAN", "HOST", "CONTAINER", "VOLUMES")
    for orphan in orphans:
        container = orphan["container"] or "-"
        table.add_row(
            plain(orphan["pod_id"]), plain(orphan["host"]), plain(container), str(len(orphan["volumes"]))
        )
    return [table, Text("`pinacle pods create ORPHAN --image ...` takes it up, on its volumes")]


def _details(pod: Answer) -> Iterable[tuple[str, Any]]:
    yield "pod", Text(plain(pod["pod_id"]), style="bold")
    yield "phase", word(pod["phase"])
    yield "why", pod["last_error"]
    # An older worker does not report it.
    yield "pulling", pull_text(pod["progress"]) if pod.get("progress") else None
    yield "tried again", _moment(pod["retry_at"])
    # An older worker does not report these two.
    yield "description", pod.get("description")
    yield "labels", labels_text(pod.get("labels") or {})
    yield "intent", f"{pod['intent']}, generation {pod['generation']}"
    yield "host", pod["host"]
    yield "image", _image(pod)
    yield "image id", pod["image"]
    yield "/usr", pod["system_volumes"] and f"{pod['system_volumes']}, {pod['system_image'] or 'not kept'}"
    yield "container", pod["container_id"]
    for key in ("tier", "restart", "runtime", "hostname", "user", "command"):
        yield key, _spec_value(pod, key)
    # It is set after a loss of Redis; an older worker does not report it.
    yield "not certain", ", ".join(pod.get("unsure") or ()) or None
    yield "restarts", str(pod["restarts"])
    yield "ended with", _ending(pod)
    # An older worker does not say these.
    yield "created", pod.get("created_at")
    yield "started", pod.get("started_at")
    yield "finished", pod.get("finished_at")
    lines = (pod.get("last_lines") or "").splitlines()
    for number, line in enumerate(lines):
        yield ("" if number else "printed last"), line
    for port in pod["ports"]:
        yield "port", port_text(port)
    for volume in pod["volumes"]:
        yield "volume", f"{volume['path']}  {volume['name']}"
    yield "unprotected", " ".join(pod.get("unprotected_paths") or ())


def _spec_value(pod: Answer, key: str) -> str | None:
    value = (pod["spec"] or {}).get(key)
    return " ".join(map(repr, value)) if isinstance(value, list) else value


def _image(pod: Answer) -> str:
    return plain((pod["spec"] or {}).get("image", ""))


def _ending(pod: Answer) -> str | None:
    if pod["exit_code"] is None:
        return None
    return f"exit code {pod['exit_code']}" + (", out of memory" if pod["oom_killed"] else "")


def _moment(at: float | None) -> str | None:
    """Return a time as those that the worker gives, so that they can be compared."""
    return None if at is None else datetime.fromtimestamp(at, tz=UTC).isoformat(timespec="seconds")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "none"
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= unit_s:
            return f"{seconds // unit_s:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        # It is never cut, as people type or copy it next.
        table.add_column(column, overflow="fold")
    return table


def _grid(columns: int = 2) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(columns):
        grid.add_column(overflow="fold")
    return grid
