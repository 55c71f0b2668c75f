"""The names of everything that is kept in Redis."""

from typing import Final

PREFIX: Final = "pinacle:"
ALL_PODS: Final = f"{PREFIX}pods"
"""Set of the ids of all pods and tombstones."""
FENCE: Final = f"{PREFIX}fence"
"""Counter: the token of the newest lease."""
HEARTBEATS: Final = f"{PREFIX}heartbeats"
"""Sorted set: host by the time of its last heartbeat, in seconds by Redis' clock."""
EVENTS: Final = f"{PREFIX}events"
"""Stream of changes of phase, of limited length."""
PROGRESS: Final = f"{PREFIX}progress"
"""Stream of how far pulls have come, of limited length; not in EVENTS, where it would displace changes."""
STORAGES: Final = f"{PREFIX}storages"
"""Hash: host to the identity of the storage that holds its pods."""
POOLS: Final = f"{PREFIX}pools"
"""Hash: host to the UUID of the pool that holds its pods."""
REPORTED: Final = f"{PREFIX}reported"
"""Set of the hosts whose pods are all known here; it is missing in a store that is new or was lost."""
STORE_ID: Final = f"{PREFIX}store"
"""The id of this store: random, and lost together with the records."""
CONTENDER: Final = f"{PREFIX}contender:"
"""Prefix, then the host: a note, kept for a day, about another store that asked for the installation."""
PROBE: Final = f"{PREFIX}probe"
"""Never exists: a write to it that changes nothing shows whether Redis accepts writes."""
CHANGES: Final = f"{PREFIX}changed:"
"""Prefix of the channels on which changes of pods are announced."""


def pod(pod_id: str) -> str:
    """Hash: host, generation, intent and state as JSON, fence (the highest token that wrote)."""
    return f"{PREFIX}pod:{pod_id}"


def lease(pod_id: str) -> str:
    return f"{PREFIX}lease:{pod_id}"


def host_pods(host: str) -> str:
    """Set of the ids of one host's pods and tombstones."""
    return f"{PREFIX}pods:{host}"


def ports(host: str) -> str:
    """Hash: `protocol/port/address` to the pod that has it reserved."""
    return f"{PREFIX}ports:{host}"


def task(task_id: str) -> str:
    """The generation that a task id has set."""
    return f"{PREFIX}task:{task_id}"


def begun(task_id: str) -> str:
    """That what a task asks for has begun, which happens once."""
    return f"{PREFIX}begun:{task_id}"


def attempts(task_id: str) -> str:
    return f"{PREFIX}attempts:{task_id}"


def use(host: str) -> str:
    """Hash: pod to what it has on the disk, as JSON; kept for some minutes."""
    return f"{PREFIX}use:{host}"


def pull(pod_id: str) -> str:
    """How far the pull of a pod's image has come, as JSON, while it is under way."""
    return f"{PREFIX}pull:{pod_id}"


def changed(pod_id: str) -> str:
    return f"{CHANGES}{pod_id}"
