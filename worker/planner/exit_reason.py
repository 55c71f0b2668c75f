"""How a container ended unexpectedly, in words for whoever has to do something about it."""

from typing import Final

from worker.pods.model import Crash
from worker.pods.spec import PodSpec

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
_WHY: Final = {
    _NOT_EXECUTABLE: "may not be executed, or is no program for this machine",
    _NOT_FOUND: "was not found in the image or its PATH",
}
"""What the Engine's init says by its exit code, as shells do, of a program that it cannot begin with."""


def ending(crash: Crash, spec: PodSpec | None) -> str:
    """Say how a container ended unexpectedly, and name the program if that was not found."""
    if not crash.known:
        return "its container is gone, and how it ended is not known: pods.restart runs it again"
    memory = ", out of memory" if crash.oom_killed else ""
    row = f", {crash.count} times in a row" if crash.count > 1 else ""
    why = _WHY.get(crash.exit_code) if crash.at_once else None
    return f"it ended by itself with exit code {crash.exit_code}{memory}{row}{_program(spec, why)}"


def _program(spec: PodSpec | None, why: str | None) -> str:
    """Name the program; what it begins may be meant as well, as with a shell."""
    if why is None or spec is None:
        return ""
    named = f"the program {spec.command[0]!r:.200}" if spec.command else "the program of the image's command"
    return f": {named}, or one that it runs, {why}"
