"""Removes a template when its image's last pod has been gone for a while."""

from collections.abc import Iterable
from typing import Final

import structlog

from worker.errors import PodError
from worker.host.unused import Unused
from worker.interfaces import PodPool
from worker.planner.host.unused_templates import unused_templates
from worker.pods.model import Record
from worker.pods.observation import Snapshot

_log: Final = structlog.get_logger(__name__)


class TemplateCleanup:
    """Removes the templates of one host's pool that nobody needs soon.

    Pods that began with one need it no more: they share what they have not changed with whatever is left. One
    that is needed again is made again, so a mistake here costs time and no data.
    """

    def __init__(self, *, pool: PodPool | None, unused: Unused) -> None:
        """`pool` is None on a host that has none."""
        self._pool = pool
        self._unused = unused

    async def run(self, records: Iterable[Record], seen: Snapshot) -> None:
        """Remove what was unused at every look for the whole grace time."""
        if self._pool is None or seen.pool is None or seen.pool.problem is not None:
            return
        for name in self._unused.long(unused_templates(records, seen.pool.templates)):
            try:
                await self._pool.remove_template(name)
            except PodError as error:
                _log.warning("template_not_removed", template=name, reason=str(error))
            else:
                _log.info("template_removed", template=name)
