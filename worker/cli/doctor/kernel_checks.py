"""What `pinacle doctor` concludes from the host's kernel: limits that all pods share and one could use up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker.cli.doctor.checks import Check, fail, ok, warn

NEEDED: Final[Mapping[str, int]] = {
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 1_048_576,
    "kernel.pid_max": 4_194_304,
    "net.netfilter.nf_conntrack_max": 262_144,
}
"""The root users of all pods are one user for the kernel; without userns-remap, the host's root is that
user too. One pod can use up Linux's default of 128 instances. A watch in use costs about 1 kB, a connection
320 bytes, and an unused number nothing. systemd sets the largest `pid_max` on 64-bit hosts."""
_FILE: Final = "/etc/sysctl.d/90-pinacle.conf"


def kernel_limits(found: Mapping[str, int]) -> Check:
    """Whether the limits are high enough; what is not in `found` could not be seen and is not judged."""
    low = {key: needed for key, needed in NEEDED.items() if found.get(key, needed) < needed}
    if not low:
        return ok("kernel limits", ", ".join(f"{key} {found[key]}" for key in NEEDED if key in found))
    lines = "\\n".join(f"{key} = {needed}" for key, needed in low.items())
    return fail(
        "kernel limits",
        "one pod can use up what all share: " + ", ".join(f"{key} is {found[key]}" for key in low),
        f"on the Engine's host: printf '{lines}\\n' > {_FILE} && sysctl --system",
    )


def user_namespaces(*, are_remapped: bool) -> Check:
    """Whether root in a pod is a user without rights on the host."""
    if are_remapped:
        return ok("user namespaces", "root in a pod is nobody on the host (userns-remap)")
    return warn(
        "user namespaces",
        "root in a pod is root for the kernel: whatever escapes from a container controls the host",
        'on an empty data root: "userns-remap": "default" in the Engine\'s daemon.json, then restart Docker',
    )


def read_limits(root: Path = Path("/proc/sys")) -> dict[str, int]:
    """Return the limits that can be seen here; in a container, some of the host's cannot."""
    found = {}
    for key in NEEDED:
        try:
            found[key] = int((root / key.replace(".", "/")).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return found
