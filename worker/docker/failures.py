"""The Engine's failures as our errors, which say whether to try again later or never.

The texts are those of Engine 20.10 to 28. Some errors that never pass come as a 500.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
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
"""Engine 20.10 was killed after containerd started a task and before the Engine noted it.

The Engine can neither see nor end that task, so nothing else may be started on the same volumes.
"""
_ORPHAN_REMEDY: Final = (
    ". The Engine was killed while it started this container, and its containerd has a task for it, which "
    "may be running: end that task (ctr --namespace moby tasks kill --signal KILL ID), then this goes on by "
    "itself"
)
_ORPHANED_FOLDER: Final = re.compile(r"failed to start shim: mkdir \S+/[0-9a-f]{64}: file exists")
"""The Engine was killed a moment earlier or later: containerd has the task's folder, but perhaps no task.

Seen once, with 20.10. A process that containerd forgot may still run, and the Engine cannot say so.
"""
_HALF_REMOVED: Final = re.compile(r"remove (\S+): umount (/\S+)/_data, flags: \w+: no such file or directory")
"""The Engine was killed while it removed a volume with options, such as an overlay.

The volume's directory is gone, but the Engine wants to unmount it before it removes the rest, and so it fails
for ever. Seen with 20.10.
"""
_FOLDER_REMEDY: Final = (
    ". The Engine was killed while it started this container, and its containerd kept the folder of a task: "
    "end the containerd-shim with the container's id if one runs (pgrep -f ID), remove that folder "
    "(rm -r --one-file-system), then this goes on by itself"
)
_FULL: Final = "no space left on device"
_FULL_REMEDY: Final = (
    ". The disk of the Engine is full: make room on it (docker image prune, but never volumes or "
    "containers), then this goes on by itself"
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
"""If these are about the spec's program, they never pass; a runtime says the same about its own files."""
_RUNTIMES_OWN: Final = ("mount", "/run/", "/proc/", "/sys/", "/var/lib/", "cgroup", "containerd", "shim:")
"""Signs of a runtime's own files: such a failure may pass, as on a busy host or after a killed Engine."""
_OF_THE_HOST: Final = (
    _FULL,
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
"""What is never one pod's fault, however often the same pod meets it: it passes once the host is repaired.

Any other 5xx is judged by how often it comes, and by what happens to other pods.
"""


def explain(operation: str, url: str, error: aiodocker.DockerError) -> PodError:
    """Return our error for one that came from the Engine, or from the connection to it."""
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
    # A container that ended since the exec was made: of one that ended before it the Engine says 409.
    is_over = operation == "exec_start" and "is not running" in lowered
    if error.status == _CONFLICT or "is not paused" in lowered or is_over:
        return ConflictError(text)
    remedy = _remedy(lowered)
    of_the_host = bool(remedy) or any(part in lowered for part in _OF_THE_HOST)
    kind = EngineUnavailableError if of_the_host else EngineFailedError
    return kind(f"{operation}: the Engine failed with {error.status}: {error.message}{remedy}")


@contextmanager
def explained(operation: str) -> Iterator[None]:
    """Turn what fails inside, in the middle of a stream too, into one of our errors."""
    try:
        yield
    except aiodocker.DockerError as error:
        raise explain(operation, "the Engine", error) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise OutcomeUnknownError(f"{operation}: broke off: {error}") from error


def half_removed(volume: str, error: PodError) -> str | None:
    """Return the folder, on the host, of a volume that the Engine cannot remove because `_data` is missing.

    None if the error says anything else, or is about another volume.
    """
    found = _HALF_REMOVED.search(str(error))
    return found[2] if found and found[1] == volume and found[2].endswith(f"/{volume}") else None


def _is_for_good(text: str) -> bool:
    of_a_program = any(part in text for part in _NEVER_OF_A_PROGRAM)
    return any(part in text for part in _NEVER) or (
        of_a_program and not any(part in text for part in _RUNTIMES_OWN)
    )


def _remedy(text: str) -> str:
    """Return what a person has to do, if waiting does not help."""
    if _FULL in text:
        return _FULL_REMEDY
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
