"""What an Engine says that was killed while it started a container, in containerd's words."""

from typing import Final

import aiodocker
import pytest

from worker.docker.failures import explain, half_removed
from worker.errors import ConflictError, EngineFailedError, EngineUnavailableError, PermanentError

ID = "29f962f21298d53f5a648f59903519e64915c13dbab63405f53e8fb439d162c0"
FOLDER = f"/run/containerd/io.containerd.runtime.v2.task/moby/{ID}"


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (f"task {ID}: already exists: unknown", "ctr --namespace moby tasks kill"),
        (f"failed to start shim: mkdir {FOLDER}: file exists: unknown", "rm -r --one-file-system"),
        ("failed to start shim: fork/exec: resource temporarily unavailable: unknown", None),
    ],
)
def test_a_task_that_the_engine_forgot_is_named_with_its_remedy(text: str, remedy: str | None) -> None:
    error = explain("container_start", "the Engine", aiodocker.DockerError(500, text))
    assert type(error) is EngineUnavailableError, "it is tried again: a person may fix it at any time"
    assert text in str(error)
    assert ("by itself" in str(error)) is (remedy is not None)
    if remedy is not None:
        assert remedy in str(error)


_CREATE = "OCI runtime create failed: "


@pytest.mark.parametrize(
    "text",
    [
        'starting container process caused: exec: "/nope": stat /nope: no such file or directory: unknown',
        'unable to start container process: exec: "x": executable file not found in $PATH: unknown',
        'starting container process caused: exec: "/etc/passwd": permission denied: unknown',
        'unable to start container process: exec: "/home": is a directory: unknown',
    ],
)
def test_what_the_spec_says_wrongly_of_a_program_never_passes(text: str) -> None:
    error = explain("container_start", "the Engine", aiodocker.DockerError(400, _CREATE + text))
    assert isinstance(error, PermanentError)
    error = explain("container_start", "the Engine", aiodocker.DockerError(500, _CREATE + text))
    assert isinstance(error, PermanentError)


@pytest.mark.parametrize(
    "text",
    [
        'error mounting "/data/volumes/x/_data" to rootfs at "/home": no such file or directory: unknown',
        "open /run/containerd/runc/moby/1/init.pid: no such file or directory: unknown",
        "failed to write 1 to cgroup.procs: permission denied: unknown",
        "open /proc/1/ns/net: no such file or directory: unknown",
    ],
)
def test_what_a_runtime_misses_of_its_own_may_pass(text: str) -> None:
    """For example on an overloaded host; if it never passes, it is reported as the pod's own."""
    error = explain("container_start", "the Engine", aiodocker.DockerError(500, _CREATE + text))
    assert type(error) is EngineFailedError


HALF: Final = "remove v: umount /d/volumes/v/_data, flags: 0x2: no such file or directory"


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        (HALF, "/d/volumes/v"),
        (HALF.replace("/volumes/v/", "/volumes/w/"), None),
        (HALF.replace("remove v", "remove w"), None),
        (HALF.replace("no such file or directory", "device or resource busy"), None),
        (HALF.replace("umount", "unlinkat"), None),
    ],
)
def test_only_a_volume_that_was_removed_by_half_is_completed(text: str, folder: str | None) -> None:
    """Nothing is made on the host after any other failure, or in the place of another volume."""
    error = explain("volume_remove", "the Engine", aiodocker.DockerError(500, text))
    assert half_removed("v", error) == folder


def test_a_container_that_ends_before_a_command_begins_in_it_is_none_that_the_engine_fails_with() -> None:
    """As the helper of a pool, which is then made again; of anything else such a 500 is a failure."""
    text = f"Container {ID} is not running: Removal In Progress"
    assert type(explain("exec_start", "the Engine", aiodocker.DockerError(500, text))) is ConflictError
    failed = explain("container_stop", "the Engine", aiodocker.DockerError(500, text))
    assert type(failed) is EngineFailedError
