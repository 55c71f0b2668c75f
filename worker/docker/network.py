"""The bridge network of all pods, on which none of them reaches another."""

import asyncio
import json
from typing import Any, Final

from worker.docker.calls import EngineCalls
from worker.errors import ConflictError, ObjectMissingError, PodError
from worker.pods import naming

_NO_COMMUNICATION: Final = "com.docker.network.bridge.enable_icc"


class Network:
    """One network by its name.

    The Engine's own check for duplicates is no protection against two creations at once, and of two networks
    with one name it finds neither: so one creation at a time here, and what another process made beside it
    is removed again.
    """

    def __init__(self, calls: EngineCalls, *, name: str, installation: str) -> None:
        self._calls = calls
        self._name = name
        self._installation = installation
        self._one_at_a_time = asyncio.Lock()

    def is_cause_of(self, error: PodError) -> bool:
        """Whether an operation failed because the network is missing, or is there twice."""
        text = str(error)
        return f"network {self._name} not found" in text or f"network {self._name} is ambiguous" in text

    async def ensure(self) -> None:
        """Make the network unless it is there, and leave one of it. 1 call where it is, 3 where it is not."""
        async with self._one_at_a_time:
            found = await self._list()
            if not found:
                await self._create()
                found = await self._list()
            for extra in found[1:]:
                await self._remove(extra)

    async def _list(self) -> list[dict[str, Any]]:
        """Return the networks of this very name, the oldest first."""
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
            "Labels": {naming.LABEL_INSTALLATION: self._installation},
        }
        try:
            await self._calls.json("network_create", "POST", "networks/create", body=body)
        except ConflictError as error:
            if "already exists" not in str(error):
                raise

    async def _remove(self, entry: dict[str, Any]) -> None:
        """Remove a second network of ours; containers that run on it keep it until they end."""
        if (entry.get("Labels") or {}).get(naming.LABEL_INSTALLATION) != self._installation:
            return
        try:
            await self._calls.json("network_remove", "DELETE", f"networks/{entry['Id']}")
        except ObjectMissingError:
            return
