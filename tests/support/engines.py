"""Private Engines for tests: with another runtime, or of another Debian, if a run asks for that."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from worker.local.images import bootstrap
from worker.local.packages import find, require
from worker.local.private_engine import PrivateEngine

GVISOR: Final = "runsc"
_PACKAGES: Final = ("docker.io", "iptables", "nftables", "ca-certificates")
_PROGRAMS: Final = "PINACLE_TEST_ENGINE_PROGRAMS"


def use_suite(suite: str, cache: Path) -> None:
    """Make all private Engines of this run those of another Debian release, such as `trixie`."""
    root = cache / f"engine-{suite}"
    if not root.exists():
        require("debootstrap")
        partial = root.with_suffix(".partial")
        partial.mkdir(parents=True)
        bootstrap(partial, _PACKAGES, suite=suite)
        partial.rename(root)
    os.environ[_PROGRAMS] = str(root)


def private_engine(root: Path, runtime: str | None) -> PrivateEngine:
    """Return an Engine that is not started yet, with what this run asks for."""
    config, programs = _config(runtime), os.environ.get(_PROGRAMS)
    if programs is not None and runtime is not None:
        # It needs no library, so this machine's runs on the other root as well.
        shutil.copy(find(runtime) or runtime, Path(programs, "usr/bin"))
    return PrivateEngine(root, config=config, programs=None if programs is None else Path(programs))


def _config(runtime: str | None) -> dict[str, Any]:
    """Return the daemon.json of an Engine that has a runtime, which is installed if it is missing."""
    if runtime is None:
        return {}
    require(runtime)
    # Within a network namespace of its own, as our private Engines have, gVisor's network stack refuses.
    arguments = ["--network=host"] if runtime == GVISOR else []
    return {"runtimes": {runtime: {"path": find(runtime), "runtimeArgs": arguments}}}


def tables(engine: PrivateEngine) -> list[str]:
    """Return the names of our tables in the packet filter of an Engine's host."""
    listed = subprocess.run(
        [*engine.inside(), find("nft") or "nft", "list", "tables", "inet"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name for name in listed.split() if name.startswith("pinacle-")]


def remove_tables(engine: PrivateEngine) -> None:
    """Let pods of the tests that follow reach again what they reached before."""
    for name in tables(engine):
        words = [*engine.inside(), find("nft") or "nft", "delete", "table", "inet", name]
        subprocess.run(words, check=True)
