"""An empty store is rebuilt from the labels of what is on the host, before any work is taken."""

from typing import Final

import structlog

from worker.errors import GenerationConflictError, LeaseHeldError, PermanentError
from worker.leasing import leased
from worker.pods import naming
from worker.pods.model import Installation
from worker.pods.observation import ObservedContainer, Snapshot
from worker.pods.survivors import rebuilt_record
from worker.ports import Engine, Proposal, Store

_log: Final = structlog.get_logger(__name__)


class Rebuild:
    """Reports one host's pods to a store that does not know of the host. Never removes anything."""

    def __init__(self, *, host: str, engine: Engine, store: Store, installation: Installation) -> None:
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation

    async def run(self) -> None:
        """Rebuild this host, unless the store has heard of it. Raises what Engine and store raise."""
        if self._host in await self._store.reported_hosts():
            return
        seen = await self._engine.observe_all()
        for container in seen.containers.values():
            if self._is_ours(container):
                await self._report(container, seen)
        await self._store.report_host(self._host)

    def _is_ours(self, container: ObservedContainer) -> bool:
        owner = container.labels.get(naming.LABEL_INSTALLATION)
        named = container.pod_id is not None and container.name == naming.container_name(container.pod_id)
        return named and owner == self._installation.name

    async def _report(self, container: ObservedContainer, seen: Snapshot) -> None:
        try:
            remains = await self._engine.inspect_remains(container.id)
            record = rebuilt_record(self._host, container, remains, seen.volumes)
            await self._store.accept(
                Proposal(
                    pod_id=record.pod_id,
                    task_id=f"rebuild {self._host} {container.id}",
                    expected_generation=0,
                    host=self._host,
                    intent=record.intent,
                )
            )
            async with leased(self._store, record.pod_id) as lease:
                await self._store.save(record, lease)
        except (GenerationConflictError, LeaseHeldError) as error:
            _log.info("pod_known_already", pod_id=container.pod_id, reason=str(error))
        except PermanentError as error:
            # Its container and volumes stay; `pods.create` adopts the volumes.
            _log.error("pod_not_rebuilt", pod_id=container.pod_id, reason=str(error))
        else:
            _log.warning("pod_rebuilt", pod_id=record.pod_id, intent=record.intent.kind.value)
