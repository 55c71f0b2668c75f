"""How pods of a private Engine reach other machines, and how this machine reaches their published ports.

The Engine has a network namespace of its own, so that it shares neither bridges nor packet filters with
another one. The network of this machine is not changed for it: `pasta` makes outgoing connections for it, as
any program could, and processes of ours listen on published ports.
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
    """Return the command, for the foreground, that passes on connections out of a network namespace.

    Nothing can come in through it, and it does not reach this machine's own loopback.
    """
    nothing = [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    return [
        # It does not start if this signal is ignored, as it is in children of Python programs.
        "env",
        "--default-signal=PIPE",
        find("pasta") or "pasta",
        "--foreground",
        "--quiet",
        "--config-net",
        "--no-map-gw",
        *nothing,
        # By default it becomes the user nobody, which may not enter the namespace.
        "--runas",
        "0",
        "--netns",
        f"/run/netns/{namespace}",
    ]


def write_port_proxy(path: Path, pid: int) -> Path:
    """Write the program that an Engine runs for each published port, instead of its own.

    Ports answer in the network namespace of the process `pid`.
    """
    # Isolated and without site packages, to start quickly: it is started for each port, and a pod waits for
    # it.
    words = [sys.executable, "-I", "-S", str(_PROXY), "--namespace", f"/proc/{pid}/ns/net"]
    path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path
