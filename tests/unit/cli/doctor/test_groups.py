"""The doctor's report as a whole: each check in its group, and the last line."""

import re
from pathlib import Path
from typing import Final

from rich.console import Console

from worker.cli import tables
from worker.cli.doctor.checks import fail, ok, warn
from worker.cli.doctor.groups import GROUPS, OTHERS, counted, in_groups, summary

FOLDER: Final = Path(__file__).parents[4] / "worker" / "cli" / "doctor"
FOUND: Final = (
    ok("Redis", "answers"),
    warn("clock", "3.0 s from Redis'", "set the clocks"),
    fail("disk space", "1 MB free", "free some space"),
    ok("Engine", "vm"),
    ok("queues", "none"),
)


def test_every_check_has_a_group() -> None:
    """By its name, as a check that has none would come last and be overlooked."""
    text = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    names = set(re.findall(r'\bname(?:, \w+)?(?:, \w+)? = "([^"]+)"', text))
    names |= set(re.findall(r'(?:ok|warn|fail)\(\s*"([^"]+)"', text))
    grouped = {name for names in GROUPS.values() for name in names}
    assert len(names) > 20
    assert names - grouped == set()
    assert grouped - names == {"Engine's API", ".env"}, "a group names a check that is none"


def test_checks_are_shown_by_groups_whatever_order_they_were_made_in() -> None:
    shown = [(check.group, check.name) for check in in_groups([*FOUND, ok("strange", "")])]
    assert shown == [
        ("Engine", "Engine"),
        ("host", "disk space"),
        ("Redis", "Redis"),
        ("Redis", "clock"),
        ("Redis", "queues"),
        (OTHERS, "strange"),
    ]


def test_the_last_line_names_what_to_look_at_the_worst_first() -> None:
    assert summary(FOUND) == "5 checks: 3 ok, 1 warn, 1 fail. Look at: disk space, clock"
    assert counted(FOUND) == {"ok": 3, "warn": 1, "fail": 1}
    assert summary(FOUND[:1]) == "1 checks: 1 ok. Nothing to do"


def test_the_report_has_its_groups_with_what_to_do_below_each_check() -> None:
    checks = [check.as_json() for check in in_groups(FOUND)]
    console = Console(width=60, color_system=None)
    with console.capture() as shown:
        console.print(tables.check_list({"checks": checks, "summary": summary(FOUND)}))
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert lines == [
        "Engine",
        "ok    Engine      vm",
        "",
        "host",
        "fail  disk space  1 MB free",
        "                  -> free some space",
        "",
        "Redis",
        "ok    Redis       answers",
        "warn  clock       3.0 s from Redis'",
        "                  -> set the clocks",
        "ok    queues      none",
        "",
        "5 checks: 3 ok, 1 warn, 1 fail. Look at: disk space, clock",
    ]
