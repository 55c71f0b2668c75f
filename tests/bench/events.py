"""The Engine's own times of what happened, without polling."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import Any

from worker.local.packages import find
from worker.local.private_engine import PrivateEngine


@contextmanager
def watched(engine: PrivateEngine) -> Iterator[Iterator[dict[str, Any]]]:
    """Yield the ends and starts of all containers from now on; `timeNano` is by the Engine's clock."""
    command = [find("docker") or "docker", "-H", engine.url, "events", "--format", "{{json .}}"]
    # Since now, so that nothing is missed before the stream is connected.
    filters = ["--since", f"{time():.6f}", "--filter", "event=die", "--filter", "event=start"]
    with subprocess.Popen([*command, *filters], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield map(json.loads, process.stdout)
        finally:
            process.terminate()
