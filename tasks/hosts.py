"""The tasks about whole hosts."""

from typing import Any

from tasks.calling import accept_storage, pod_task
from tasks.moving import AnyTask


@pod_task(name="hosts.accept_storage")
def accept_storage_(self: AnyTask, host: Any = None) -> dict[str, Any]:
    """Take the storage that a host has now for its own, after a deliberate change."""
    return accept_storage(self, host)
