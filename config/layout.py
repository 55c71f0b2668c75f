"""The volume layout: which directories of a pod outlive its container.

A table, and nothing else. `worker.pods.layout` holds the rules that the table has to keep.
"""

from typing import Final

UNIVERSAL_VOLUMES: Final[tuple[tuple[str, str], ...]] = (
    ("workspace", "/workspace"),
    ("home", "/home"),
    ("root", "/root"),
    ("etc", "/etc"),
    ("usr-local", "/usr/local"),
    ("opt", "/opt"),
    ("var", "/var"),
    ("srv", "/srv"),
)
"""Volume name and mount path of the volumes that every pod has. Part of the contract."""

NEVER_PERSISTED: Final[tuple[str, ...]] = ("/tmp", "/proc", "/sys", "/dev", "/run")  # noqa: S108 - named, not used
"""Virtual and temporary file systems: no volume is ever mounted at or below these."""
