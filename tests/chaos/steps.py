"""Which step a worker was in the middle of, according to its log."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

_EVERYWHERE: Final = frozenset(
    {
        *(
            "begin_fill",
            "create_volume",
            "create_container",
            "read_volumes",
            "commit_fill",
            "start_container",
        ),
        *("unpause_container", "stop_container", "update_container", "record_exit", "remove_container"),
        *("remove_volume", "finish_purge", "prepare_system", "find_folders"),
    }
)
_ON_POOL: Final = frozenset({"begin_subvolume", "name_subvolume", "limit_subvolume", "remove_subvolume"})


def kinds(*, on_pool: bool) -> frozenset[str]:
    """Return which steps are to be interrupted.

    All but finding and pulling an image, which is on the host here before anything is accepted, and
    keeping a folder that an owner made, which nobody does here.
    """
    return _EVERYWHERE | (_ON_POOL if on_pool else {"fill_layers"})


class StepLog:
    """Follows the log of one worker."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._offset = 0
        self._open: dict[str, str] = {}
        """Pod to the step that was begun and not ended."""

    def read(self) -> list[str]:
        """Read what was written since the last call; return the steps that were begun."""
        with self._log.open("rb") as log:
            log.seek(self._offset)
            text = log.read()
        whole = text.rfind(b"\n") + 1
        self._offset += whole
        begun = []
        for line in text[:whole].splitlines():
            if b'"event": "step_' in line:
                begun += self._take(json.loads(line))
        return begun

    def wait_for(self, kind: str, timeout_s: float) -> bool:
        """Return as soon as a step of this kind has begun; False if none begins in time."""
        self.read()
        deadline = monotonic() + timeout_s
        while monotonic() < deadline:
            if kind in self.read():
                return True
        return False

    def cut(self, kill: Callable[[], None], cuts: Counter[str]) -> None:
        """Kill something, and count the steps that were under way at that moment."""
        kill()
        self.read()
        cuts.update(self._open.values())

    def forget(self) -> None:
        """Begin again with another process."""
        self.read()
        self._open.clear()

    def _take(self, entry: dict[str, str]) -> list[str]:
        if entry["event"] == "step_begun":
            self._open[entry["pod_id"]] = entry["step"]
            return [entry["step"]]
        self._open.pop(entry["pod_id"], None)
        return []
