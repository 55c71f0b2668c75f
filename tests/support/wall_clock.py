"""A wall clock that a test can set while processes run. It is theirs, not the machine's."""

from pathlib import Path
from typing import Final

_LIBRARIES: Final = Path("/usr/lib")


class WallClock:
    """libfaketime's; the monotonic clock stays what it is."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "wall-clock"
        self.set_back(0)

    def set_back(self, seconds: int) -> None:
        """Set it this much behind the machine's."""
        new = self._file.with_suffix(".new")
        new.write_text(f"-{seconds}")
        new.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Return the environment with which a process uses this clock."""
        (library,) = _LIBRARIES.glob("*/faketime/libfaketimeMT.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
