"""What `pinacle doctor` concludes from clocks, from what the Engine can limit, and from the environment."""

import ctypes
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from worker.cli.doctor.checks import Check, fail, ok, warn

_CLOCK_WARN_S: Final = 2.0
_UNSYNCHRONISED: Final = 0x40
"""STA_UNSYNC of adjtimex(2)."""
_STATUS_AT: Final = 5 * ctypes.sizeof(ctypes.c_long)
"""The offset of `status` in struct timex: before it are an int, with its padding, and four longs."""
_TIMEX_BYTES: Final = 1024
"""Bytes: more than the structure has."""


def engines_clock(system_time: str, before: float, after: float) -> Check:
    """Whether the Engine's clock and this machine's agree; it was asked between `before` and `after`."""
    name = "Engine's clock"
    try:
        told = datetime.fromisoformat(system_time).timestamp()
    except ValueError:
        return ok(name, "the Engine does not report its time")
    difference_s = max(before - told, told - after, 0.0)
    detail = f"{difference_s:.1f} s from this machine's"
    if difference_s <= _CLOCK_WARN_S:
        return ok(name, detail)
    return warn(
        name,
        f"{detail}: times of ends and waits are wrong by that",
        "set the clock of the Engine's machine by NTP; a virtual machine's is behind after its host slept",
    )


def ntp(is_kept: bool | None) -> Check:  # noqa: FBT001 - the only thing there is to say
    """Whether something keeps this kernel's clock right; None if that cannot be seen."""
    if is_kept is None:
        return ok("NTP", "cannot be seen from here")
    if is_kept:
        return ok("NTP", "this machine's clock is kept right")
    return warn(
        "NTP",
        "the kernel knows of nothing that keeps this machine's clock right",
        "apt-get install systemd-timesyncd, or chrony, on the host, unless its hypervisor does that",
    )


def is_clock_kept() -> bool | None:
    """Ask the kernel whether its clock is synchronised; None if it does not say."""
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (AttributeError, OSError):
        return None
    if state < 0:
        return None
    status = ctypes.c_int.from_buffer(timex, _STATUS_AT).value
    return not status & _UNSYNCHRONISED


def limits(lacks: Collection[str]) -> Check:
    """Whether the Engine's kernel can hold pods to their tiers."""
    name = "limits of pods"
    if not lacks:
        return ok(name, "memory, CPU and processes")
    return warn(
        name,
        f"the Engine cannot limit {', '.join(sorted(lacks))}: a pod can take all that its host has",
        "enable these cgroup controllers on the Engine's host (its `docker info` has warnings about them)",
    )


def variables(unknown: Collection[str]) -> Check:
    """Whether every variable that begins as settings do is one."""
    name = "settings"
    if not unknown:
        return ok(name, "every PINACLE_ variable is one")
    return warn(
        name,
        f"ignored, as this version has no such setting: {', '.join(sorted(unknown))}",
        "remove them, or upgrade if they are a later version's; docs/settings.md has all",
    )


def names_in_file(path: Path, misspelt: Sequence[str]) -> Check:
    """Check the names in the file of Docker Compose, which ignores those that it does not know."""
    name = "names in .env"
    if misspelt:
        return fail(
            name, f"{path}: {'; '.join(misspelt)}", "correct the names there, then docker compose up -d"
        )
    return ok(name, "none is misspelt")
