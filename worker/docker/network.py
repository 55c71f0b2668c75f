"""The bridge network of all pods, on which none of them reaches another."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import structlog

from worker.docker.calls import EngineCalls
from worker.errors import ConflictError, ObjectMissingError, PodError
from worker.planner.host.egress import CLOSED
from worker.pods import naming

_log: Final = structlog.get_logger(__name__)
_MISSING: Final = re.compile(r"network ([0-9a-f]{64}) not found")
_NO_COMMUNICATION: Final = "com.docker.network.bridge.enable_icc"
_BRIDGE_NAME: Final = "com.docker.network.bridge.name"


class Bridge(NamedTuple):
    """What a network is on its host."""

    id: str
    interface: str
    gateway: str | None
    egress: str | None
    """Its label: whether pods were kept from the host's networks when the installation began."""


class Network:
    """One network by its name.

    The Engine's own check for duplicates does not prevent two creations at the same time, and if two networks
    have one name, it finds neither. So this creates one at a time, and removes the second one if another
    process made one too.
    """

    def __init__(
        self,
        *,
        calls: EngineCalls,
        name: str,
        installation: str,
        close: Callable[[Bridge], Awaitable[None]],
    ) -> None:
        """`close` keeps pods on a bridge from the host's own networks; it is called if `egress` is closed."""
        self._calls = calls
        self._name = name
        self._installation = installation
        self._one_at_a_time = asyncio.Lock()
        self._told: str | None = None
        self._close_bridge = close
        self._closed: str | None = None
        self.egress: str | None = None
        """`closed` or `open`, which a new network gets as its label; None if that is not decided."""

    def is_cause_of(self, error: PodError) -> bool:
        """Whether an operation failed because the network is missing or exists twice."""
        text = str(error)
        return f"network {self._name} not found" in text or f"network {self._name} is ambiguous" in text

    async def ensure(self) -> None:
        """Make the network unless it exists, and remove duplicates. 1 call if it exists, 3 if not."""
        async with self._one_at_a_time:
            found = await self._list()
            if not found:
                await self._create()
                found = await self._list()
            for extra in found[1:]:
                await self._remove(extra)
        self._judge(found)
        if found and found[0]["Id"] != self._closed:
            await self._close(_bridge(found[0]))

    def _judge(self, found: Sequence[dict[str, Any]]) -> None:
        problem = _problem(found[0]) if found else None
        if problem is not None and problem != self._told:
            _log.warning("pods_reach_each_other", network=self._name, reason=problem)
        self._told = problem

    async def _close(self, bridge: Bridge) -> None:
        """Close it, or log that it stays open: pods run on hosts that cannot filter too."""
        if self.egress != CLOSED:
            return
        try:
            await self._close_bridge(bridge)
        except PodError as error:
            _log.error("egress_not_closed", network=self._name, reason=str(error))
        else:
            self._closed = bridge.id

    async def close_again(self) -> None:
        """Look at the network and close it again, even if it was closed. Raises the error of closing it."""
        found = await self._list()
        self._judge(found)
        if found and self.egress == CLOSED:
            bridge = _bridge(found[0])
            await self._close_bridge(bridge)
            self._closed = bridge.id

    async def bridge(self) -> Bridge | None:
        """Return what the network is on the host, None if there is none. 1 call."""
        found = await self._list()
        return _bridge(found[0]) if found else None

    async def problem(self) -> str | None:
        """Return why pods on the network could reach each other, None if they cannot. 1 call."""
        found = await self._list()
        return _problem(found[0]) if found else None

    async def known_problem(self) -> str | None:
        """Return the problem that was seen last. Only if there was one, look again, with 1 call."""
        if self._told is not None:
            self._judge(await self._list())
        return self._told

    def missing_id(self, error: PodError) -> str | None:
        """Return the id of a network that a container is still bound to and that is gone, else None."""
        found = _MISSING.search(str(error))
        return None if found is None else found[1]

    async def connect(self, container_id: str, name: str) -> None:
        """Attach a container, unless it is attached. 1 call, 4 or 5 if the network is missing."""
        try:
            await self._connect(container_id, name)
        except PodError as error:
            if name != self._name or not self.is_cause_of(error):
                raise
            await self.ensure()
            await self._connect(container_id, name)

    async def replace(self, container_id: str, missing: str) -> None:
        """Detach a container from a network that is gone, and attach it to ours instead. 4 calls.

        A new network of the same name is another network for the Engine.
        """
        await self.ensure()
        entry = await self._calls.json("container_inspect", "GET", f"containers/{container_id}/json")
        attached = (entry.get("NetworkSettings") or {}).get("Networks") or {}
        for name in [name for name, each in attached.items() if each.get("NetworkID") == missing]:
            body = {"Container": container_id, "Force": True}
            path = f"networks/{quote(name, safe='')}/disconnect"
            await self._calls.json("network_disconnect", "POST", path, body=body)
        await self._connect(container_id, self._name)

    async def _connect(self, container_id: str, name: str) -> None:
        path = f"networks/{quote(name, safe='')}/connect"
        try:
            await self._calls.json("network_connect", "POST", path, body={"Container": container_id})
        except PodError as error:
            if f"already exists in network {name}" not in str(error):
                raise

    async def _list(self) -> list[dict[str, Any]]:
        """Return the networks of exactly this name, the oldest first."""
        params = {"filters": json.dumps({"name": [self._name]})}
        entries = await self._calls.json("network_list", "GET", "networks", params=params)
        named = [entry for entry in entries if entry["Name"] == self._name]
        return sorted(named, key=lambda entry: (entry["Created"], entry["Id"]))

    async def _create(self) -> None:
        body = {
            "Name": self._name,
            "Driver": "bridge",
            "CheckDuplicate": True,
            "Options": {_NO_COMMUNICATION: "false"},
            "Labels": {naming.LABEL_INSTALLATION: self._installation, **self._egress_label()},
        }
        try:
            await self._calls.json("network_create", "POST", "networks/create", body=body)
        except ConflictError as error:
            if "already exists" not in str(error):
                raise

    def _egress_label(self) -> dict[str, str]:
        return {} if self.egress is None else {naming.LABEL_EGRESS: self.egress}

    async def _remove(self, entry: dict[str, Any]) -> None:
        """Remove a duplicate of our network; containers that run on it keep it until they end."""
        if (entry.get("Labels") or {}).get(naming.LABEL_INSTALLATION) != self._installation:
            return
        try:
            await self._calls.json("network_remove", "DELETE", f"networks/{entry['Id']}")
        except ObjectMissingError:
            return


def _bridge(entry: dict[str, Any]) -> Bridge:
    addresses = (entry.get("IPAM") or {}).get("Config") or []
    return Bridge(
        id=entry["Id"],
        interface=(entry.get("Options") or {}).get(_BRIDGE_NAME) or f"br-{entry['Id'][:12]}",
        gateway=next((each["Gateway"] for each in addresses if each.get("Gateway")), None),
        egress=(entry.get("Labels") or {}).get(naming.LABEL_EGRESS),
    )


def _problem(entry: dict[str, Any]) -> str | None:
    """Return why pods reach each other on a network. Somebody else may have made it; ours has the option."""
    driver, options = entry.get("Driver"), entry.get("Options") or {}
    if driver != "bridge":
        return f"network {entry['Name']} has driver {driver!r}, on which pods may reach each other"
    if options.get(_NO_COMMUNICATION) != "false":
        return f"network {entry['Name']} lets pods reach each other: {_NO_COMMUNICATION} is not false"
    return None
