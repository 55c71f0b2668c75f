"""Gives a pod other host ports if a program of the host took those that were chosen for it."""

from dataclasses import dataclass
from typing import Final

import structlog

from worker.errors import PodError, PortTakenError, RetryableError
from worker.interfaces import Lease, Store
from worker.planner.host.port_choice import chosen_and_taken
from worker.pods.model import PublishedPort, Record
from worker.reconcile.host_ports import chosen_ports

_log: Final = structlog.get_logger(__name__)
MOST_MOVES: Final = 5
"""In one reconcile; if this many ports in a row are taken, that is reported as a failure."""
_PATIENCE: Final = 2
"""Tries for a pod that ran before: the Engine may still be freeing the port of its last container."""
_AGAIN_S: Final = 1.0
_RACES: Final = 3


@dataclass(frozen=True, kw_only=True)
class PortMoves:
    """Chooses from the same range as a request does."""

    store: Store
    free: range

    def judge(
        self, record: Record, error: PortTakenError, before: tuple[PublishedPort, ...]
    ) -> tuple[PublishedPort, ...]:
        """Return the ports to choose others for; `before` are those found taken in this reconcile.

        Raises `error` if it is about a port that the spec names. Raises a RetryableError if the port may be
        free again in a moment: a pod keeps its ports if at all possible.
        """
        taken = chosen_and_taken(record.intent, str(error))
        if not taken or len(before) >= MOST_MOVES:
            raise error
        if record.state.starts and not before and record.state.errors < _PATIENCE:
            raise RetryableError(str(error), delay_s=_AGAIN_S)
        return taken

    async def move(
        self,
        record: Record,
        taken: tuple[PublishedPort, ...],
        lease: Lease,
        *,
        avoid: tuple[PublishedPort, ...],
    ) -> tuple[PublishedPort, ...]:
        """Give the pod other ports than `taken`, none of `avoid`, and return all its ports.

        Raises PortTakenError if none is free, and what the store raises.
        """
        spec = record.intent.spec
        if spec is None:
            raise ValueError(f"pod {record.pod_id}: ports without a spec")
        kept = [port for port in record.intent.ports if port not in taken]
        for last in (*(False for _ in range(_RACES)), True):
            ports = await chosen_ports(
                self.store, record.host, record.pod_id, spec, before=kept, free=self.free, avoid=avoid
            )
            try:
                await self.store.move_ports(record, ports, lease)
            except PortTakenError:
                if last:
                    raise
                continue  # Another pod has reserved it since it was looked up.
            _log.warning(
                "ports_moved",
                pod_id=record.pod_id,
                taken=[port.host for port in taken],
                ports=[port.host for port in ports],
            )
            return ports
        raise PodError("unreachable: the last try returns or raises")
