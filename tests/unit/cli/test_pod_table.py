"""The table of many pods that is laid out at once is the one that rich draws."""

import re
from typing import Any, Final

import pytest
from rich.console import Console, RenderableType

from worker.cli.tables import _pod_table, _quick_table, pod_line, pod_list

STYLE: Final = re.compile(r"\x1b\[[0-9;]*m")
WIDE: Final = 200
TOO_NARROW: Final = 20


def pod(number: int, **more: Any) -> dict[str, Any]:
    ports = [
        {"address": "127.0.0.1", "host": 8000 + each, "container": 80 + each, "protocol": "tcp"}
        for each in range(number)
    ]
    shown = {"pod_id": f"p{number}", "phase": "running", "host": "here", "spec": {"image": "debian:12"}}
    return {**shown, "restarts": number, "ports": ports, "last_error": None, "labels": {}, **more}


def drawn(table: RenderableType) -> list[str]:
    console = Console(width=WIDE, force_terminal=True, highlight=False, color_system="standard")
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in STYLE.sub("", capture.get()).splitlines()]


@pytest.mark.parametrize(
    "pods",
    [
        [pod(0)],
        [pod(number) for number in range(4)],
        [pod(2, labels={"team": "a", "b": "two words"}), pod(0, phase="failed", host=None)],
    ],
)
def test_both_are_the_same(pods: list[dict[str, Any]]) -> None:
    assert drawn(_pod_table(pods, WIDE)) == drawn(_pod_table(pods, TOO_NARROW))


def test_only_a_pod_that_exists_is_shown_with_ports() -> None:
    assert drawn(pod_line(pod(1))) == ["pod p1 is running on here", "  127.0.0.1:8000 -> 80/tcp"]
    assert drawn(pod_line(pod(1, phase="deleted"))) == ["pod p1 is deleted"]


def test_phases_have_their_colours() -> None:
    console = Console(width=WIDE, force_terminal=True, highlight=False, color_system="standard")
    with console.capture() as capture:
        console.print(pod_list({"pods": [pod(1), pod(2, phase="failed")]}, console))
    assert "\x1b[32mrunning" in capture.get()
    assert "\x1b[31mfailed" in capture.get()


@pytest.mark.parametrize(
    ("cells", "width"),
    [(("a" * 10, "running"), 20), (("日本", "running"), WIDE), (("a\n日", "running"), WIDE)],
    ids=["too wide", "wide letters", "on a second line"],
)
def test_what_it_leaves_to_rich(cells: tuple[str, str], width: int) -> None:
    assert _quick_table(("POD", "PHASE"), [cells], width) is None
    assert _quick_table(("POD", "PHASE"), [("a" * 9, "running")], 20) is not None
