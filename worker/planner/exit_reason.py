"""How a container ended unexpectedly, in words for whoever has to do something about it."""

from signal import Signals
from typing import Final

from config.tiers import TIERS
from worker.pods.model import Crash
from worker.pods.spec import PodSpec

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_BY_SIGNAL: Final = 128
_WHY: Final = {
    _NOT_EXECUTABLE: "may not be executed, or is no program for this machine",
    _NOT_FOUND: "was not found in the image or its PATH",
}
"""What the Engine's init says by its exit code, as shells do, of a program that it cannot begin with."""


def ending(crash: Crash, spec: PodSpec | None) -> str:
    """Say how a container ended unexpectedly, and name the program if that was not found."""
    if not crash.known:
        return "its container is gone, and how it ended is not known: pods.restart runs it again"
    memory = f", out of memory{_limit(spec)}" if crash.oom_killed else ""
    row = f", {crash.count} times in a row" if crash.count > 1 else ""
    why = _WHY.get(crash.exit_code) if crash.at_once else None
    code = f"exit code {crash.exit_code}{_signal(crash)}"
    return f"it ended by itself with {code}{memory}{row}{_program(spec, why)}"


def _signal(crash: Crash) -> str:
    """Name the signal that ended it: the Engine's init exits with the number of that above 128."""
    names = {_BY_SIGNAL + number: number.name for number in Signals}
    return f" ({names[crash.exit_code]})" if crash.exit_code in names else ""


def _limit(spec: PodSpec | None) -> str:
    """Say how much memory there was, unless the tier is no longer in the table."""
    tier = TIERS.get(spec.tier) if spec is not None else None
    return f" ({spec.tier} has {tier.memory_gib} GiB)" if spec is not None and tier is not None else ""


def _program(spec: PodSpec | None, why: str | None) -> str:
    """Name the program; perhaps another one that it starts is meant, as with a shell."""
    if why is None or spec is None:
        return ""
    named = f"the program {spec.command[0]!r:.200}" if spec.command else "the program of the image's command"
    return f": {named}, or one that it runs, {why}"
