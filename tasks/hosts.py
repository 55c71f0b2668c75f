"""The tasks about whole hosts."""

from typing import Any

from tasks.calling import accept_storage, pod_task, rename
from tasks.moving import AnyTask


@pod_task(name="hosts.accept_storage")
def accept_storage_(self: AnyTask, host: Any = None) -> dict[str, Any]:
    """Take the storage that a host has now for its own, after a deliberate change."""
    return accept_storage(self, host)


@pod_task(name="hosts.rename")
def rename_(self: AnyTask, old: Any = None, new: Any = None) -> dict[str, Any]:
    """Give the pods that are recorded under a host's former name to the name that it has now."""
    return rename(self, old, new)
