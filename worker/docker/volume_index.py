"""The names of all volumes of one Engine, kept current by its events."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

import stamina
import structlog

from worker.cancelling import end
from worker.docker.calls import EngineCalls
from worker.docker.events import event_lines
from worker.docker.parse import listed_volume
from worker.errors import EngineUnavailableError, PodError
from worker.pods import naming
from worker.pods.observation import ObservedVolume

_log: Final = structlog.get_logger(__name__)
_FILTERS: Final = {"type": ["volume"], "event": ["create", "destroy"]}
_LONGEST_WAIT_S: Final = 2.0
"""Seconds between two attempts to reach an Engine that is away."""


@dataclass(frozen=True)
class Known:
    """What the index knows of one pod's surroundings."""

    names: frozenset[str]
    """Volumes that may be the pod's or a base's, and whose labels have to be asked for."""
    bases: Mapping[str, ObservedVolume]
    """The volumes of all bases, by name."""


@dataclass
class Listed:
    """What is kept of a list of all volumes."""

    pods: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Pod id to the short names of the volumes whose labels and whole name say that they are this pod's."""
    bases: dict[str, ObservedVolume] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    """Names of volumes that were made since; events do not say their labels."""

    def hear(self, name: str, *, is_there: bool) -> None:
        """Take up one event.

        The Engine also says that a volume was created if a container is made that mounts an existing one. One
        that is made again, perhaps with other labels, was destroyed before.
        """
        if not is_there:
            self.bases.pop(name, None)
            self.new.discard(name)
        elif name not in self.bases and name.startswith((naming.VOLUME_PREFIX, naming.BASE_PREFIX)):
            self.new.add(name)


class VolumeNames:
    """Which volumes there are: what a list said, and each event since that list was asked for.

    The Engine goes through all volumes for every list, also for one by label, so on a host with very many
    volumes each list takes longer the more pods there are. Asked by its exact name, a volume answers at once.
    """

    def __init__(self) -> None:
        self._is_connected = False
        self._connection = 0
        self._lists = 0
        """How many lists are under way."""
        self._heard: list[tuple[str, bool]] = []
        """Each event since the first of these lists was asked for: a name, and whether it is there."""
        self._listed: Listed | None = None
        """None while it is not known that no event was missed."""

    def of_pod(self, pod_id: str) -> Known | None:
        """Return what is known, None if an event may have been missed."""
        listed = self._listed
        if listed is None:
            return None
        own = (naming.volume_name(pod_id, short) for short in listed.pods.get(pod_id, ()))
        prefixes = (naming.volume_name(pod_id, ""), naming.BASE_PREFIX)
        new = (name for name in listed.new if name.startswith(prefixes))
        return Known(frozenset((*own, *new)), dict(listed.bases))

    @contextmanager
    def listing(self) -> Iterator["Listing"]:
        """Note that a list of all volumes is asked for now."""
        self._lists += 1
        try:
            yield Listing(self, self._connection, len(self._heard))
        finally:
            self._lists -= 1
            if not self._lists:
                self._heard.clear()

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Note that each event is heard from now on, until this is left."""
        self._is_connected = True
        self.forget()
        try:
            yield
        finally:
            self._is_connected = False
            self.forget()

    def forget(self) -> None:
        """Know nothing until a list that is asked for later: an event may have been missed."""
        self._connection += 1
        self._listed = None

    def hear(self, name: str, *, is_there: bool) -> None:
        """Take up one event."""
        if self._lists:
            self._heard.append((name, is_there))
        if self._listed is not None:
            self._listed.hear(name, is_there=is_there)

    def learn(self, connection: int, heard: int, listed: Listed) -> None:
        """Take over a list, and the events since it was asked for. See `Listing`."""
        if not self._is_connected or connection != self._connection:
            return  # Not every event since the list was asked for was heard.
        for name, is_there in self._heard[heard:]:
            listed.hear(name, is_there=is_there)
        self._listed = listed


class Listing:
    """A list of all volumes that is under way."""

    def __init__(self, names: VolumeNames, connection: int, heard: int) -> None:
        self._names, self._connection, self._heard = names, connection, heard

    async def came(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Hand over the entries of the list."""
        # Not in the event loop: there may be hundreds of thousands.
        self._names.learn(self._connection, self._heard, await asyncio.to_thread(_listed, entries))


class VolumeIndex(VolumeNames):
    """Follows the Engine's events once it is asked to, and connects again until it is closed."""

    def __init__(self, *, calls: EngineCalls) -> None:
        super().__init__()
        self._calls = calls
        self._listening: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Begin to follow the events, unless that has begun."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())

    async def close(self) -> None:
        if self._listening is not None:
            await end((self._listening,))

    async def _listen(self) -> None:
        while True:
            async for attempt in stamina.retry_context(
                on=PodError, attempts=None, timeout=None, wait_initial=0.1, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    await self._follow()

    async def _follow(self) -> None:
        """Follow one connection to its end. Raises EngineUnavailableError if it cannot be made."""
        async with event_lines(self._calls, _FILTERS) as found:
            with self.connection():
                try:
                    await self._take(found)
                except EngineUnavailableError as error:
                    # The connection worked before it ended, so the next one is tried at once.
                    _log.info("volume_events_disconnected", reason=str(error))

    async def _take(self, found: AsyncIterator[bytes]) -> None:
        async for line in found:
            try:
                entry = json.loads(line)
                name, is_there = str(entry["Actor"]["ID"]), entry["Action"] == "create"
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                _log.warning("volume_event_not_understood", reason=repr(error), bytes=len(line))
                self.forget()
            else:
                self.hear(name, is_there=is_there)


def _listed(entries: Sequence[Mapping[str, Any]]) -> Listed:
    pods: defaultdict[str, list[str]] = defaultdict(list)
    bases = {}
    for entry in entries:
        name, labels = entry["Name"], entry.get("Labels") or {}
        pod_id, short = labels.get(naming.LABEL_POD), labels.get(naming.LABEL_VOLUME)
        if naming.LABEL_BASE in labels:
            bases[name] = listed_volume(entry)
        if pod_id and short and name == naming.volume_name(pod_id, short):
            # The same dozen words for all pods.
            pods[pod_id].append(intern(short))
    return Listed({pod_id: tuple(names) for pod_id, names in pods.items()}, bases)
