"""A locale whose letters are not those that programs may expect."""

import subprocess
from pathlib import Path
from typing import Final

from worker.local.packages import find, require

TURKISH: Final = "tr_TR.UTF-8"
"""Its lower-case letter of I is a dotless one, and its decimal point is a comma."""


def turkish(folder: Path) -> dict[str, str]:
    """Make the Turkish locale in a folder; return the environment that has it."""
    require("locale-gen")
    if not (folder / TURKISH).exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [find("localedef") or "localedef", "-i", "tr_TR", "-f", "UTF-8", "--no-archive"]
        subprocess.run([*command, str(folder / TURKISH)], check=True, capture_output=True)
    return {"LC_ALL": TURKISH, "LOCPATH": str(folder)}
