"""Removes a base when its last pod has been gone for a while."""

from collections.abc import Collection, Iterable
from typing import Final

import structlog

from worker.errors import PodError
from worker.host.unused import Unused
from worker.interfaces import Engine
from worker.planner.host.unused_bases import unused_bases
from worker.planner.steps import RemoveContainer, RemoveVolume
from worker.pods.model import Installation, Record
from worker.pods.observation import Snapshot

_log: Final = structlog.get_logger(__name__)


class BaseCleanup:
    """Removes the bases of one host that nobody uses.

    A base that is needed again is made again, so a mistake here costs time and no data. The Engine refuses
    to remove a volume that a container mounts.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        installation: Installation,
        unused: Unused,
    ) -> None:
        self._engine = engine
        self._installation = installation
        self._unused = unused

    async def run(self, records: Iterable[Record], seen: Snapshot) -> None:
        """Remove the bases that were unused at every look for the whole grace time."""
        unused = unused_bases(records, seen, self._installation.name)
        for base in self._unused.long(unused.keys() - self._engine.bases_under_way()):
            await self._remove(base, unused[base])

    async def _remove(self, base: str, steps: Collection[RemoveContainer | RemoveVolume]) -> None:
        try:
            for step in steps:
                if isinstance(step, RemoveContainer):
                    await self._engine.remove_container(step.container_id)
                else:
                    await self._engine.remove_volume(step.name)
        except PodError as error:
            _log.warning("base_not_removed", base=base, reason=str(error))
        else:
            _log.info("base_removed", base=base)
