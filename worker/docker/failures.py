"""What the Engine says when it fails, made one of our errors: later, or never.

Texts are those of Engine 20.10 to 28; some errors that will never go away come as a 500.
"""

import re
from typing import Final

import aiodocker
import aiohttp

from worker.errors import (
    ConflictError,
    EngineFailedError,
    EngineUnavailableError,
    ImageGoneError,
    ObjectMissingError,
    OutcomeUnknownError,
    PermanentError,
    PodError,
    PortTakenError,
)

_NO_CONNECTION: Final = 900
"""aiodocker's own status for a connection that failed."""
_NOT_FOUND, _CONFLICT, _BAD_REQUEST = 404, 409, 400
_PORT_TAKEN: Final = ("port is already allocated", "address already in use")
_ORPHANED_TASK: Final = re.compile(r"task [0-9a-f]{64}: already exists")
"""Engine 20.10, killed between containerd's start of a task and its own note of it.

It can neither see nor end that task, so nothing else may be started on the same volumes.
"""
_ORPHAN_REMEDY: Final = (
    ". The Engine was killed while it started this container, and its containerd has a task of it, which "
    "may be running: end that (ctr --namespace moby tasks kill --signal KILL ID), then this goes on by itself"
)
_ORPHANED_FOLDER: Final = re.compile(r"failed to start shim: mkdir \S+/[0-9a-f]{64}: file exists")
"""The same death a moment earlier or later: containerd has the task's folder, and may not know of the task.

Seen once, with 20.10. A process that it forgot may be running, which nobody can ask the Engine.
"""
_HALF_REMOVED: Final = re.compile(r"remove (\S+): umount (/\S+)/_data, flags: \w+: no such file or directory")
"""The Engine was killed while it removed a volume with options, such as an overlay, after its directory.

It wants to unmount that before it removes the rest, and so fails for ever. Seen with 20.10.
"""
_FOLDER_REMEDY: Final = (
    ". The Engine was killed while it started this container, and its containerd kept the folder of a task: "
    "end the containerd-shim with the container's id if one runs (pgrep -f ID), remove that folder "
    "(rm -r --one-file-system), then this goes on by itself"
)
_NEVER: Final = (
    "executable file not found",
    "exec format error",
    "unable to find user",
    "no matching entries in passwd file",
    "unable to find group",
    "no matching entries in group file",
    "unknown runtime",
    "invalid runtime",
    "cannot assign requested address",
    "chdir to cwd",
    "minimum memory limit allowed",
    "range of cpus is from",
)
_NEVER_OF_A_PROGRAM: Final = (
    "no such file or directory: unknown",
    "permission denied: unknown",
    "is a directory: unknown",
)
"""Of the program that the spec names these never pass; a runtime says the same of what it works with."""
_RUNTIMES_OWN: Final = ("mount", "/run/", "/proc/", "/sys/", "/var/lib/", "cgroup", "containerd", "shim:")
"""Signs that it does: such a failure may pass, as on an overloaded host or after an Engine was killed."""
_OF_THE_HOST: Final = (
    "no space left on device",
    "disk quota exceeded",
    "input/output error",
    "too many open files",
    "cannot allocate memory",
    "resource temporarily unavailable",
    "containerd.sock",
    "transport is closing",
    "transport: error",
    "ttrpc",
    "connection refused",
    "connection reset",
    "broken pipe",
    "deadline exceeded",
    "timeout",
    "timed out",
    "context canceled",
    "shutting down",
)
"""What is never about one pod, however often it meets the same one: it passes when the host is repaired.

What else comes as a 5xx is told apart by how often it comes, and by what happens to other pods.
"""


def explain(operation: str, url: str, error: aiodocker.DockerError) -> PodError:
    """Return our error for one that the Engine, or the way to it, gave."""
    text = f"{operation}: {error.message}"
    lowered = error.message.lower()
    if error.status == _NO_CONNECTION:
        return _no_connection(operation, url, error)
    if error.status == _NOT_FOUND:
        return ImageGoneError(text) if "no such image" in lowered else ObjectMissingError(text)
    if any(part in lowered for part in _PORT_TAKEN):
        return PortTakenError(
            f"{text}. Another program of this host uses the port: free it, or update the pod"
        )
    if _is_for_good(lowered) or error.status == _BAD_REQUEST:
        return PermanentError(text)
    if error.status == _CONFLICT or "is not paused" in lowered:
        return ConflictError(text)
    remedy = _remedy(lowered)
    of_the_host = bool(remedy) or any(part in lowered for part in _OF_THE_HOST)
    kind = EngineUnavailableError if of_the_host else EngineFailedError
    return kind(f"{operation}: the Engine failed with {error.status}: {error.message}{remedy}")


def half_removed(volume: str, error: PodError) -> str | None:
    """Return the host's folder of a volume that the Engine cannot remove without its directory in it.

    None if an error says anything else, or is about another volume.
    """
    found = _HALF_REMOVED.search(str(error))
    return found[2] if found and found[1] == volume and found[2].endswith(f"/{volume}") else None


def _is_for_good(text: str) -> bool:
    of_a_program = any(part in text for part in _NEVER_OF_A_PROGRAM)
    return any(part in text for part in _NEVER) or (
        of_a_program and not any(part in text for part in _RUNTIMES_OWN)
    )


def _remedy(text: str) -> str:
    """Return what a person has to do, where waiting does not help."""
    if _ORPHANED_TASK.search(text) is not None:
        return _ORPHAN_REMEDY
    return _FOLDER_REMEDY if _ORPHANED_FOLDER.search(text) is not None else ""


def _no_connection(operation: str, url: str, error: aiodocker.DockerError) -> PodError:
    cause = error.__context__
    if isinstance(cause, aiohttp.ClientConnectorError):
        return EngineUnavailableError(
            f"{operation}: the Engine at {url} cannot be reached: {cause.strerror or cause}. Is it running, "
            "may this user open its socket, and is DOCKER_HOST right?"
        )
    return OutcomeUnknownError(f"{operation}: the connection to the Engine broke before it answered: {cause}")
