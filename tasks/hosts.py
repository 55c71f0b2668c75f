"""The tasks about whole hosts."""

from typing import Any

from tasks.calling import answer, be_there, pod_task
from tasks.moving import AnyTask
from worker.app import runtime


@pod_task(name="hosts.accept_storage")
def accept_storage(self: AnyTask, host: Any = None) -> dict[str, Any]:
    """Accept the storage that a host has now as its own, after a deliberate change."""
    be_there(self, host)
    return answer(runtime().parts.hosts.accept_storage())


@pod_task(name="hosts.rename")
def rename(self: AnyTask, old: Any = None, new: Any = None) -> dict[str, Any]:
    """Give the pods that are recorded under a host's former name to its current name."""
    be_there(self, new)
    return answer(runtime().parts.hosts.rename(old))
