"""The Engine's event stream, as long as one connection lasts."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiodocker
import aiohttp
import structlog

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.docker.lines import LineTooLongError, lines
from worker.errors import EngineUnavailableError
from worker.interfaces import ContainerEvent, ContenderEvent
from worker.pods import naming

_log: Final = structlog.get_logger(__name__)
_CREATE: Final = "create"
_ACTIONS: Final = ("start", "die", "destroy", "pause", "unpause", "rename", _CREATE)
_LONGEST_LINE: Final = 64 * 10**6
"""Bytes. An event has all labels of its container, and they contain its spec."""


class Events:
    """Follows what happens to the containers of one installation."""

    def __init__(self, *, calls: EngineCalls, installation: str) -> None:
        self._calls = calls
        self._filters = {
            "type": ["container"],
            "event": list(_ACTIONS),
            "label": [f"{naming.LABEL_INSTALLATION}={installation}"],
        }

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncIterator[ContainerEvent | ContenderEvent]]:
        """Subscribe; everything that happens once this is entered is delivered.

        See `worker.interfaces.EventSource`.
        """
        async with event_lines(self._calls, self._filters) as found:
            yield self._read(found)

    async def _read(self, found: AsyncIterator[bytes]) -> AsyncIterator[ContainerEvent | ContenderEvent]:
        async for line in found:
            event = _parsed(line)
            if event is not None:
                yield event


@asynccontextmanager
async def event_lines(
    calls: EngineCalls, filters: Mapping[str, Sequence[str]]
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Subscribe to the Engine's events; every one that passes `filters` from now on is a line.

    aiodocker's own subscription does not reconnect, and hangs after its connection has ended, so this reads
    the stream itself. Raises EngineUnavailableError when the stream cannot be opened or has ended.
    """
    docker = await calls.client()
    calls.count("events")
    # The Engine sends its headers as soon as it listens. After that, silence is normal.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
    try:
        query = docker._query(  # noqa: SLF001 - see above
            "events", params={"filters": json.dumps(filters)}, timeout=timeout
        )
        async with query as response, response:  # The query alone would leave the connection open.
            yield _lines(response)
    except aiodocker.DockerError as error:
        raise explain("events", "the Engine", error) from error
    except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
        raise EngineUnavailableError(f"events: the stream could not be opened: {error}") from error


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for line in lines(response.content.iter_any(), longest=_LONGEST_LINE):
            yield line
    except (aiohttp.ClientError, ConnectionError, LineTooLongError) as error:
        raise EngineUnavailableError(f"events: the stream broke off: {error}") from error
    raise EngineUnavailableError("events: the Engine ended the stream")


def _parsed(line: bytes) -> ContainerEvent | ContenderEvent | None:
    """Return what a line says of a pod's container or of another store, None if it says nothing useful.

    A line that cannot be read is skipped: the next pass sees what it was about.
    """
    try:
        entry = json.loads(line)
        actor = entry["Actor"]
        labels = actor.get("Attributes") or {}
        pod_id, action = labels.get(naming.LABEL_POD), entry["Action"]
        if action == _CREATE:
            return _contender(labels, actor["ID"])
        return None if pod_id is None else _event(pod_id, action, actor)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        _log.warning("event_not_understood", reason=repr(error), bytes=len(line))
        return None


def _contender(labels: dict[str, str], container_id: str) -> ContenderEvent | None:
    store, installation = labels.get(naming.LABEL_CONTENDER), labels.get(naming.LABEL_INSTALLATION)
    if not store or not installation or labels.get("name") != naming.contender_name(installation, store):
        return None
    return ContenderEvent(store=store, container_id=container_id)


def _event(pod_id: str, action: str, actor: dict[str, Any]) -> ContainerEvent | None:
    """Return the event. A container is identified by its labels; its name can be changed by anybody."""
    if action == "rename" and actor["Attributes"].get("name") == naming.container_name(pod_id):
        return None  # It has the name that it should have; most likely we gave it.
    return ContainerEvent(pod_id=pod_id, container_id=actor["ID"], action=action)
