"""What is said about an Engine that was killed while it started a container, in containerd's words."""

import aiodocker
import pytest

from worker.docker.failures import explain
from worker.errors import EngineUnavailableError

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
    assert type(error) is EngineUnavailableError, "it is tried again: a person may mend it at any time"
    assert text in str(error)
    assert ("by itself" in str(error)) is (remedy is not None)
    if remedy is not None:
        assert remedy in str(error)
