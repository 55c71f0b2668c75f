"""Other runtimes than Docker's own, for `make test RUNTIME=runsc`."""

from typing import Any, Final

from worker.local.packages import find, require

GVISOR: Final = "runsc"


def engine_config(runtime: str | None) -> dict[str, Any]:
    """Return the daemon.json of an Engine that has a runtime, which is installed where it is missing."""
    if runtime is None:
        return {}
    require(runtime)
    # Within a network namespace of its own, as our private Engines have, gVisor's network stack refuses.
    arguments = ["--network=host"] if runtime == GVISOR else []
    return {"runtimes": {runtime: {"path": find(runtime), "runtimeArgs": arguments}}}
