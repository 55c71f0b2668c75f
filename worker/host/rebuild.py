"""Rebuilds an empty store from the labels of what is on the host, before any work is taken."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Final

import structlog

from worker.errors import (
    GenerationConflictError,
    LeaseHeldError,
    ObjectMissingError,
    PermanentError,
    RetryableError,
    StoreUnavailableError,
)
from worker.host.claiming import Claiming
from worker.interfaces import Engine, Proposal, Store
from worker.planner.host.survivors import rebuilt_record
from worker.pods import naming
from worker.pods.model import Installation, PodState, Record
from worker.pods.observation import ALIVE, ObservedContainer, Snapshot
from worker.reconcile.leasing import leased

_log: Final = structlog.get_logger(__name__)
_ATTEMPTS: Final = 5
"""How often one container may keep the whole host waiting before it is left out."""


class Rebuild:
    """Reports one host's pods to a store that does not know of the host. Never removes anything."""

    def __init__(
        self, *, host: str, engine: Engine, store: Store, installation: Installation, claiming: Claiming
    ) -> None:
        self._claiming = claiming
        self._one_at_a_time = asyncio.Lock()
        self._host = host
        self._engine = engine
        self._store = store
        self._installation = installation
        self._failures: Counter[str] = Counter()
        """How often each container could not be looked at, by its id."""

    async def run(self) -> None:
        """Rebuild this host, unless the store has heard of it.

        It goes container by container: one that cannot be read does not keep the others from being reported.
        Raises what Engine and store raise; what was reported then stays, and the rest is done the next time.
        Raises InstallationAskedError and InstallationTakenError if the pods are another store's.
        """
        if self._host in await self._store.reported_hosts():
            return
        async with self._one_at_a_time:
            await self._run()

    async def _run(self) -> None:
        seen = await self._engine.observe_all()
        await self._claiming.obtain(seen)
        due: RetryableError | None = None
        for container in self._ours(seen):
            due = await self._report(container, seen) or due
        if due is not None:
            raise due
        # This comes last: until it is noted, no unknown pod is created here, because it may be a pod that is
        # not reported yet (protocol 8).
        await self._store.report_host(self._host)
        self._failures.clear()

    def _ours(self, seen: Snapshot) -> Iterator[ObservedContainer]:
        """Yield each pod's container, whatever its name; if a pod has two, the one that runs."""
        for those in seen.by_pod.values():
            ours = filter(self._is_ours, those)
            best = sorted(ours, key=lambda each: (each.state not in ALIVE, not _is_named(each)))
            yield from best[:1]

    def _is_ours(self, container: ObservedContainer) -> bool:
        return container.labels.get(naming.LABEL_INSTALLATION) == self._installation.name

    async def _report(self, container: ObservedContainer, seen: Snapshot) -> RetryableError | None:
        """Report one pod; return an error if it has to be tried again. Raises StoreUnavailableError."""
        try:
            evidence = await self._engine.inspect_evidence(container.id)
            record = rebuilt_record(self._host, container, evidence, seen.volumes)
            await self._accept(record, container)
        except (GenerationConflictError, LeaseHeldError) as error:
            _log.info("pod_known_already", pod_id=container.pod_id, reason=str(error))
        except ObjectMissingError as error:
            # It was removed after the list was made. Its volumes stay, and `pods.create` adopts them.
            _log.error("pod_not_rebuilt", pod_id=container.pod_id, reason=str(error))
        except StoreUnavailableError:
            raise
        except RetryableError as error:
            self._failures[container.id] += 1
            if self._failures[container.id] < _ATTEMPTS:
                return error
            _log.error("pod_not_rebuilt", pod_id=container.pod_id, reason=str(error))
        except PermanentError as error:
            # Its container and volumes stay, and `pods.create` adopts the volumes.
            _log.error("pod_not_rebuilt", pod_id=container.pod_id, reason=str(error))
        except Exception:  # noqa: BLE001 - a bug in one pod must not keep the others unknown; logged whole
            _log.exception("pod_not_rebuilt", pod_id=container.pod_id)
        else:
            self._tell(record, seen)
        return None

    async def _accept(self, record: Record, container: ObservedContainer) -> None:
        """Write the whole record under the lease, so that nobody acts on half of it."""
        async with leased(self._store, record.pod_id) as lease:
            await self._store.accept(
                Proposal(
                    pod_id=record.pod_id,
                    task_id=f"rebuild {self._host} {container.id}",
                    expected_generation=0,
                    host=self._host,
                    intent=record.intent,
                )
            )
            known = await self._store.load(record.pod_id)
            # If an earlier attempt came this far, somebody may have worked on the pod since.
            if known is not None and known.state == PodState():
                await self._store.save(record, lease)

    def _tell(self, record: Record, seen: Snapshot) -> None:
        layout = {naming.volume_name(record.pod_id, volume.name) for volume in record.state.layout}
        _log.warning(
            "pod_rebuilt",
            pod_id=record.pod_id,
            intent=record.intent.kind.value,
            unsure=list(record.intent.unsure),
            left_alone=record.state.rebuilt is not None,
            not_mounted=sorted(seen.labelled.get(record.pod_id, frozenset()) - layout),
        )


def _is_named(container: ObservedContainer) -> bool:
    return container.pod_id is not None and container.name == naming.container_name(container.pod_id)
