"""Gives a host that was renamed the pods that are recorded under its former name."""

import structlog

from worker.errors import InvalidInputError
from worker.interfaces import Engine, Store
from worker.planner.host.renaming import rename_refusal
from worker.pods.model import Installation

_log = structlog.get_logger(__name__)


async def rename_host(engine: Engine, store: Store, installation: Installation, old: str, new: str) -> int:
    """Give the records, ports and storage of `old` to `new`, whose Engine has its pods; return how many pods.

    `engine` is that of `new`. Raises InvalidInputError, having written nothing, if a worker of `old` is alive
    or its storage is not the Engine's.
    """
    storages = await store.storages()
    refusal = rename_refusal(storages, await store.live_hosts(), old, new)
    if refusal is not None:
        raise InvalidInputError(refusal)
    found = (await engine.observe_all()).storages.get(installation.name)
    if found != storages[old]:
        raise InvalidInputError(
            f"new: the Engine of host {new} has storage {found or 'none'}, and the pods of {old} lie "
            f"on {storages[old]}; allowed: the host on whose Engine they are"
        )
    moved = await store.rename_host(old, new, found)
    if moved is None:
        raise InvalidInputError(
            f"old: host {old} came to life or got another storage meanwhile; allowed: a host that is gone"
        )
    _log.warning("host_renamed", former=old, host=new, pods=moved)
    return moved
