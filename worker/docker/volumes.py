"""The volumes of one Engine: all of them by a list, or single ones if the list is long or slow."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import structlog

from config.layout import LAYERS_VOLUME, SYSTEM_DIRECTORIES
from worker.docker.calls import EngineCalls
from worker.docker.parse import listed_container, listed_volume
from worker.docker.volume_index import VolumeIndex
from worker.errors import ObjectMissingError, OutcomeUnknownError, PodError
from worker.pods import naming
from worker.pods.observation import ObservedVolume, Snapshot
from worker.sharing import Shared

_log: Final = structlog.get_logger(__name__)
_PATIENCE_S: Final = 3.0
"""How long one pod waits for the list of all volumes; a list of thousands takes a tenth of a second."""
_MANY: Final = 1000
"""With more volumes than this, only one pod's are asked for: a dozen short calls then cost less."""
_AT_ONCE: Final = 8
_SYSTEM_NAMES: Final = (LAYERS_VOLUME[0], *map(naming.system_volume, SYSTEM_DIRECTORIES))
_T = TypeVar("_T")


class Volumes:
    """Reads volumes.

    One list serves all callers that ask at the same time. On a host with very many volumes, a pod's are asked
    for by their exact names, which an index knows from the last list and from the events since; while it does
    not, those with the pod's label are listed. If a disk or a driver holds lists up, single pods do not wait:
    all volumes that a pod can have are asked for by name.
    """

    def __init__(
        self, *, calls: EngineCalls, installation: str, deadline_s: float, patience_s: float = _PATIENCE_S
    ) -> None:
        """`deadline_s` is the deadline of a list, `patience_s` how long one pod waits for it."""
        self._calls = calls
        self._installation = installation
        self._deadline_s = deadline_s
        self._patience_s = patience_s
        self._all = Shared(self.all)
        self._all_bases = Shared(lambda: self._labelled(naming.LABEL_BASE))
        self._index = VolumeIndex(calls=calls)
        self._are_many = False
        self._is_slow = False

    async def all(self) -> list[dict[str, Any]]:
        """Return the entries of the list of all volumes. 1 call."""
        with self._index.listing() as listing:
            answer = await self.listed("volumes", "volume_list", "volumes")
            entries: list[dict[str, Any]] = answer.get("Volumes") or []
            self._are_many = len(entries) > _MANY
            if self._are_many:
                self._index.listen()
                await listing.came(entries)
        return entries

    async def _labelled(self, label: str) -> list[dict[str, Any]]:
        """Return the entries of the volumes with a label, whoever made them. 1 call."""
        params = {"filters": json.dumps({"label": [label]})}
        answer = await self.listed("volumes with a label", "volume_list", "volumes", params)
        return answer.get("Volumes") or []

    async def listed(self, what: str, operation: str, path: str, params: dict[str, str] | None = None) -> Any:
        """Send a call that lists everything of a kind. At a time-out the OutcomeUnknownError names `what`."""
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

        `names` are full names that the pod has or would have, `mounted` those that its container mounts.
        1 call. On a host with very many volumes, or while lists are slow: one for each name. While the index
        is not current: 2, and one for each name without the pod's label.
        """
        storage = naming.storage_name(self._installation)
        if self._are_many and (known := self._index.of_pod(pod_id)) is not None:
            asked = await self._named({*names, *known.names, storage})
            return list(({**known.bases, **{volume.name: volume for volume in asked}}).values())
        if self._are_many:
            found = await self._soon(self._all_bases, lambda: self._single(pod_id, {*names, storage}))
        else:
            found = await self._soon(self._all, lambda: self._picked(pod_id, names))
        if found is None:
            system = {naming.volume_name(pod_id, name) for name in _SYSTEM_NAMES}
            return await self._named({*names, *system, *mounted, storage, *await self._kept()})
        return found

    async def _picked(self, pod_id: str, names: frozenset[str]) -> list[ObservedVolume]:
        # All volumes except those named after other pods: on a full host these are thousands.
        own, any_pods = naming.volume_name(pod_id, ""), naming.VOLUME_PREFIX
        return [
            listed_volume(entry)
            for entry in await self._all.get()
            if (name := entry["Name"]).startswith(own) or name in names or not name.startswith(any_pods)
        ]

    async def _single(self, pod_id: str, names: set[str]) -> list[ObservedVolume]:
        """Return the volumes with the pod's label, all bases, and the rest of `names`, asked for by name.

        A filter of names would not do: the Engine compiles it as a pattern for each of its volumes.
        """
        lists = await asyncio.gather(self._labelled(f"{naming.LABEL_POD}={pod_id}"), self._all_bases.get())
        found = {entry["Name"]: listed_volume(entry) for entries in lists for entry in entries}
        return [*found.values(), *await self._named(names - found.keys())]

    async def bases(self) -> Mapping[str, ObservedVolume]:
        """Return the volumes of all bases by name. 1 call, or one for each while lists are slow."""
        shared = self._all_bases if self._are_many else self._all
        entries = await self._soon(shared, shared.get)
        found = await self._named(await self._kept()) if entries is None else map(listed_volume, entries)
        return Snapshot.of((), found).bases

    async def close(self) -> None:
        await self._index.close()
        await self._all.close()
        await self._all_bases.close()

    async def _soon(self, shared: Shared[Any], read: Callable[[], Awaitable[_T]]) -> _T | None:
        """Return what `read` returns, None if the list `shared` that it needs does not come soon or fails.

        Then the caller asks by name instead.
        """
        reason = f"the list of volumes is under way for more than {self._patience_s:g} s"
        if shared.busy_s() <= self._patience_s:
            try:
                async with asyncio.timeout(self._patience_s):
                    found = await read()
            except TimeoutError:
                pass
            except PodError as error:
                reason = str(error)
            else:
                self._tell(None)
                return found
        self._tell(reason)
        return None

    def _tell(self, reason: str | None) -> None:
        """Log once when the list gets slow, and once when it is quick again."""
        if self._is_slow == (reason is not None):
            return
        self._is_slow = reason is not None
        if reason is not None:
            _log.warning("volumes_asked_by_name", reason=reason)
        else:
            _log.info("volumes_listed_again")

    async def _kept(self) -> set[str]:
        """Return the names of all volumes of bases, from the containers that keep them. 1 call."""
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
