"""How much volumes take on the Engine's disk, if this process sees it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from worker.docker.directories import disk_use
from worker.errors import OutcomeUnknownError

_END_S: Final = 5.0
"""How long a process that was killed may take to end: where a disk hangs it cannot."""


async def measure(volumes: Path, names: Collection[str]) -> dict[str, int | None] | None:
    """Return the bytes that volumes take, by name; None if this process cannot see them.

    `volumes` is the folder that has them all. What is not there is left out, and None stands for one that
    cannot be walked through. It takes as long as it takes, at
    the lowest priority. Raises OutcomeUnknownError.
    """
    if os.geteuid() != 0 or not names:
        return {} if not names else None
    order = json.dumps({"volumes": str(volumes), "names": sorted(names)})
    words = (sys.executable, "-I", disk_use.__file__)
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        said, complaint = await process.communicate(order.encode())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError, TimeoutError):
                process.kill()
                async with asyncio.timeout(_END_S):
                    await process.wait()
    if process.returncode == disk_use.CANNOT_SEE:
        return None
    if process.returncode != 0:
        text = complaint.decode(errors="replace").strip()[-500:]
        raise OutcomeUnknownError(f"the pods' volumes were not measured ({process.returncode}): {text}")
    return {each["name"]: each["bytes"] for each in map(json.loads, said.splitlines())}
