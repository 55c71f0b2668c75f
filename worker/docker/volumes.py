"""The volumes of one Engine: all of them by a list, or single ones by name while that list is slow."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog

from config.layout import LAYERS_VOLUME, SYSTEM_DIRECTORIES
from worker.docker.calls import EngineCalls
from worker.docker.parse import listed_container, listed_volume
from worker.errors import ObjectMissingError, OutcomeUnknownError, PodError
from worker.pods import naming
from worker.pods.observation import ObservedVolume, Snapshot
from worker.sharing import Shared

_log: Final = structlog.get_logger(__name__)
_PATIENCE_S: Final = 3.0
"""How long one pod waits for the list of all; thousands of volumes take a tenth of a second."""
_AT_ONCE: Final = 8
_SYSTEM_NAMES: Final = (LAYERS_VOLUME[0], *map(naming.system_volume, SYSTEM_DIRECTORIES))


class Volumes:
    """Reads volumes.

    One list serves all who ask at the same time. Where a disk or a driver holds it up, single pods do not
    wait for it: all volumes that a pod can have are asked for by their exact names.
    """

    def __init__(
        self, calls: EngineCalls, *, installation: str, deadline_s: float, patience_s: float = _PATIENCE_S
    ) -> None:
        """`deadline_s` is that of a list, `patience_s` how long one pod waits for it."""
        self._calls = calls
        self._installation = installation
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._shared = Shared(self.all)
        self._is_slow = False

    async def all(self) -> list[dict[str, Any]]:
        """Return the entries of the list. 1 call."""
        answer = await self.listed("volumes", "volume_list", "volumes")
        return answer.get("Volumes") or []

    async def listed(self, what: str, operation: str, path: str, params: dict[str, str] | None = None) -> Any:
        """Send a call that lists everything of a kind. An OutcomeUnknownError names it."""
        try:
            return await self._calls.json(operation, "GET", path, params=params, deadline_s=self._deadline_s)
        except OutcomeUnknownError as error:
            if not isinstance(error.__cause__, TimeoutError):
                raise
            raise OutcomeUnknownError(
                f"{operation}: the list of all {what} took longer than {self._deadline_s:g} s "
                "(PINACLE_LIST_DEADLINE_S): a disk or a volume driver of the Engine's host holds it up"
            ) from error

    async def of_pod(
        self, pod_id: str, names: frozenset[str], mounted: Iterable[str] = ()
    ) -> list[ObservedVolume]:
        """Return the volumes that can be a pod's, all bases, and the sentinel.

        `names` are full names that it has or would have, `mounted` those that its container mounts. 1 call,
        or one for each name while the list is slow.
        """
        entries = await self._soon()
        if entries is None:
            system = {naming.volume_name(pod_id, name) for name in _SYSTEM_NAMES}
            storage = naming.storage_name(self._installation)
            return await self._named({*names, *system, *mounted, storage, *await self._kept()})
        # All volumes but those that bear another pod's name: on a full host these are thousands.
        own, any_pods = naming.volume_name(pod_id, ""), naming.VOLUME_PREFIX
        return [
            listed_volume(entry)
            for entry in entries
            if (name := entry["Name"]).startswith(own) or name in names or not name.startswith(any_pods)
        ]

    async def bases(self) -> Mapping[str, ObservedVolume]:
        """Return the volumes of all bases by name. 1 call, or one for each while the list is slow."""
        entries = await self._soon()
        found = await self._named(await self._kept()) if entries is None else map(listed_volume, entries)
        return Snapshot.of((), found).bases

    async def close(self) -> None:
        await self._shared.close()

    async def _soon(self) -> list[dict[str, Any]] | None:
        """Return the list, None where it does not come soon or fails: then it is worth asking by name."""
        reason = f"the list of all volumes is under way for more than {self._patience_s:g} s"
        if self._shared.busy_s() <= self._patience_s:
            try:
                async with asyncio.timeout(self._patience_s):
                    entries = await self._shared.get()
            except TimeoutError:
                pass
            except PodError as error:
                reason = str(error)
            else:
                self._tell(None)
                return entries
        self._tell(reason)
        return None

    def _tell(self, reason: str | None) -> None:
        """Log when the list gets slow and when it is quick again, once each."""
        if self._is_slow == (reason is not None):
            return
        self._is_slow = reason is not None
        if reason is not None:
            _log.warning("volumes_asked_by_name", reason=reason)
        else:
            _log.info("volumes_listed_again")

    async def _kept(self) -> set[str]:
        """Return the names of all volumes of bases, as the containers that keep them tell. 1 call."""
        labels = [naming.LABEL_BASE, f"{naming.LABEL_INSTALLATION}={self._installation}"]
        params = {"all": "1", "filters": json.dumps({"label": labels})}
        entries = await self._calls.json("container_list", "GET", "containers/json", params=params)
        return {name for entry in entries for name in listed_container(entry).volumes.values()}

    async def _named(self, names: Iterable[str]) -> list[ObservedVolume]:
        places = asyncio.Semaphore(_AT_ONCE)

        async def inspect(name: str) -> ObservedVolume | None:
            async with places:
                try:
                    return listed_volume(await self._calls.json("volume_inspect", "GET", f"volumes/{name}"))
                except ObjectMissingError:
                    return None

        found = await asyncio.gather(*map(inspect, sorted(names)), return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each
        return [each for each in found if isinstance(each, ObservedVolume)]
