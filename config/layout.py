"""The volume layout: which directories of a pod outlive its container.

This is only a table. `worker.pods.layout` has the rules that the table has to keep.
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

SYSTEM_DIRECTORIES: Final[tuple[str, ...]] = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Where an image's programs are. Only those that are real directories in the image get a volume: on most
distributions all except `/usr` are links into it."""

LAYERS_VOLUME: Final[tuple[str, str]] = ("system", "/run/pinacle/system")
"""Volume name and mount path of what a pod has changed in its system directories. It is mounted read-only, so
that nobody can remove the volume while there is a container."""

BASES_PATH: Final = "/run/pinacle/base"
"""The bases of the system directories are mounted below this path, read-only and for the same reason."""

NEVER_PERSISTED: Final[tuple[str, ...]] = ("/tmp", "/proc", "/sys", "/dev", "/run")  # noqa: S108 - named, not used
"""Virtual and temporary file systems: no volume is ever mounted at or below these."""
