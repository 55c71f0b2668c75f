"""`make bench`: measures against the Engine's floor on this machine, in this run. It never judges."""

import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.crash import crash_to_running
from tests.support.stack import own_stack
from worker.local.packages import ENGINE, require

ROUNDS: Final = 9


def main() -> None:
    require(*ENGINE)
    scratch = Path(tempfile.mkdtemp(prefix="pin-"))
    try:
        with own_stack(scratch, {"PINACLE_LOG_FORMAT": "json"}) as stack:
            _show(crash_to_running(stack, ROUNDS))
    finally:
        shutil.rmtree(scratch)


def _show(found: dict[str, list[float]]) -> None:
    for side, times in found.items():
        print(f"{side:8} {median(times):7.0f} ms  ({min(times):.0f} to {max(times):.0f})")
    print(f"crash to running: {median(found['pinacle']) / median(found['docker']):.2f} x restart=always")


if __name__ == "__main__":
    main()
