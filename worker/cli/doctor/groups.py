"""The groups of the report, and its last line."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from worker.cli.doctor.checks import Check, Status

OTHERS: Final = "others"
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Engine": (
        "Engine",
        "Engine's API",
        "Engine's clock",
        "runtimes",
        "limits of pods",
        "storage driver",
        "live-restore",
        "other installations",
    ),
    "host": ("disk space", "pool", "kernel limits", "user namespaces", "NTP"),
    "network": ("network", "egress", "published ports"),
    "storage": ("volumes", "overlay volumes", "volumes held", "storage"),
    "Redis": ("Redis", "Redis keeps all", "clock", "installation", "queues"),
    "workers and pods": ("workers", "pods", "records", "rights of containers"),
    "settings": ("settings", "specs may ask for", ".env", "names in .env", "images of compose"),
}
"""Group to the names of its checks, in the order in which they are shown."""


def in_groups(found: Iterable[Check]) -> list[Check]:
    """Return the checks in the order of the groups, each with the name of its own."""
    places = {
        name: (place, group)
        for place, (group, name) in enumerate(
            (group, name) for group, names in GROUPS.items() for name in names
        )
    }
    last = (len(places), OTHERS)
    grouped = [(places.get(check.name, last), check) for check in found]
    return [replace(check, group=group) for (_, group), check in sorted(grouped, key=lambda each: each[0][0])]


def counted(found: Iterable[Check]) -> dict[str, int]:
    """Return how many checks have each status."""
    numbers = Counter(check.status for check in found)
    return {status.value: numbers[status] for status in Status}


def summary(found: Sequence[Check]) -> str:
    """Return the report in one line: how many checks, and which need attention, the worst first."""
    numbers = counted(found)
    parts = [f"{numbers[status]} {status}" for status in Status if numbers[status]]
    named = [check.name for status in (Status.FAIL, Status.WARN) for check in found if check.status is status]
    text = f"{len(found)} checks: {', '.join(parts)}"
    return f"{text}. Look at: {', '.join(named)}" if named else f"{text}. Nothing to do"
