"""What `pinacle doctor` makes of the host's kernel: limits that all pods share, which one could use up."""

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
"""Root of every pod is one user to the kernel, and the host's root is it too without userns-remap. Linux's
own 128 instances are taken by one pod. A watch that is used costs about 1 kB, a connection 320 bytes, and a
number that is not used nothing; the largest `pid_max` is what systemd sets on 64-bit hosts."""
_FILE: Final = "/etc/sysctl.d/90-pinacle.conf"


def kernel_limits(found: Mapping[str, int]) -> Check:
    """Whether the limits suffice; what is not in `found` was not to be seen, and is not judged."""
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
    """Whether root in a pod is somebody without rights on the host."""
    if are_remapped:
        return ok("user namespaces", "root in a pod is nobody on the host (userns-remap)")
    return warn(
        "user namespaces",
        "root in a pod is root to the kernel: what escapes from a container has the host",
        'on an empty data root: "userns-remap": "default" in the Engine\'s daemon.json, then restart Docker',
    )


def read_limits(root: Path = Path("/proc/sys")) -> dict[str, int]:
    """Return the limits that can be seen here; within a container, some of the host's are not."""
    found = {}
    for key in NEEDED:
        try:
            found[key] = int((root / key.replace(".", "/")).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
    return found
