"""The Engine's event stream, for as long as one connection of it lives."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiodocker
import aiohttp

from worker.docker.calls import EngineCalls
from worker.docker.failures import explain
from worker.errors import EngineUnavailableError
from worker.pods import naming
from worker.ports import ContainerEvent

_ACTIONS: Final = ("start", "die", "destroy", "pause", "unpause")


class Events:
    """Follows what happens to the containers of one installation."""

    def __init__(self, calls: EngineCalls, *, installation: str) -> None:
        self._calls = calls
        self._filters = json.dumps(
            {
                "type": ["container"],
                "event": list(_ACTIONS),
                "label": [f"{naming.LABEL_INSTALLATION}={installation}", naming.LABEL_POD],
            }
        )

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[AsyncIterator[ContainerEvent]]:
        """Subscribe; what happens from when this is entered on will be told.

        See `worker.ports.EventSource`. aiodocker's own subscription does not reconnect and hangs after its
        connection has ended, so this reads the stream itself.
        """
        docker = await self._calls.client()
        self._calls.count("events")
        # The Engine sends its headers as soon as it listens; afterwards silence is normal.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10.0)
        try:
            query = docker._query(  # noqa: SLF001 - see above
                "events", params={"filters": self._filters}, timeout=timeout
            )
            async with query as response, response:  # the query alone would leave the connection open
                yield self._read(response)
        except aiodocker.DockerError as error:
            raise explain("events", "the Engine", error) from error
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise EngineUnavailableError(f"events: no stream could be had: {error}") from error

    async def _read(self, response: aiohttp.ClientResponse) -> AsyncIterator[ContainerEvent]:
        try:
            async for line in response.content:
                event = _parsed(json.loads(line))
                if event is not None:
                    yield event
        except (aiohttp.ClientError, ConnectionError) as error:
            raise EngineUnavailableError(f"events: the stream broke off: {error}") from error
        raise EngineUnavailableError("events: the Engine ended the stream")


def _parsed(entry: dict[str, Any]) -> ContainerEvent | None:
    actor = entry.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    pod_id = attributes.get(naming.LABEL_POD)
    if pod_id is None or attributes.get("name") != naming.container_name(pod_id):
        return None
    return ContainerEvent(pod_id=pod_id, container_id=actor["ID"], action=entry["Action"])
