"""How pods of a private Engine reach other machines, and how this machine reaches their published ports.

The Engine has a network namespace of its own, so that it shares neither bridges nor packet filters with
another one. Nothing of this machine's network is changed for it: `pasta` passes on what goes out, as any
program opens connections, and published ports are listened to by processes of ours.
"""

import shlex
import sys
from pathlib import Path
from typing import Final

from worker.local.packages import find

OUTGOING: Final = ("pasta",)
"""Programs that are needed."""
_PROXY: Final = Path(__file__).with_name("port_proxy.py")


def outgoing_command(namespace: str) -> list[str]:
    """Return what passes on connections out of a network namespace, in the foreground.

    Nothing leads back in through it, and this machine's own loopback cannot be reached by it.
    """
    nothing = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    return [
        # It does not begin where this signal is ignored, as it is below Python's programs.
        "env",
        "--default-signal=PIPE",
        find("pasta") or "pasta",
        "--foreground",
        "--quiet",
        "--config-net",
        "--no-map-gw",
        *nothing,
        # By itself it becomes nobody, who may not enter the namespace.
        "--runas",
        "0",
        "--netns",
        f"/run/netns/{namespace}",
    ]


def write_port_proxy(path: Path, pid: int) -> Path:
    """Write the program that an Engine is to run for each published port, in place of its own.

    Ports answer in the network namespace of the process `pid`.
    """
    # Isolated and without site packages: it is started for each port, while a pod waits.
    words = [sys.executable, "-I", "-S", str(_PROXY), "--namespace", f"/proc/{pid}/ns/net"]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path
