"""Chooses host ports, and reads only those reservations of other pods that matter."""

from collections.abc import Sequence
from typing import Final

from worker.errors import PortTakenError, RangeUsedUpError
from worker.interfaces import Store
from worker.planner.host.port_choice import asks_for_wildcard, choose_ports, ports_to_look_at
from worker.pods.model import PublishedPort
from worker.pods.spec import PodSpec

_LOOKED: Final = (16, 256, 4096)
"""Candidates that are looked up in one round trip for each port; the first number is mostly enough."""


async def chosen_ports(
    store: Store,
    host: str,
    pod_id: str,
    spec: PodSpec,
    *,
    before: Sequence[PublishedPort],
    free: range,
    avoid: Sequence[PublishedPort] = (),
) -> tuple[PublishedPort, ...]:
    """Return the spec's ports with host ports settled, as `choose_ports` does, and raise what it raises.

    One round trip, however many ports other pods have, unless the range is nearly used up or a spec asks for
    all addresses of the host.
    """
    if not spec.ports:
        return ()
    for looked in () if asks_for_wildcard(spec) else (each for each in _LOOKED if each < len(free)):
        wanted = list(ports_to_look_at(pod_id, spec, before=before, free=free, looked=looked))
        reserved = await store.port_owners(host, wanted)
        try:
            return choose_ports(
                pod_id, spec, before=before, reserved=reserved, free=free, avoid=avoid, looked=looked
            )
        except RangeUsedUpError:
            continue
    reserved = await store.reserved_ports(host)
    try:
        return choose_ports(pod_id, spec, before=before, reserved=reserved, free=free, avoid=avoid)
    except RangeUsedUpError as error:
        # Callers know this failure as a PortTakenError.
        raise PortTakenError(str(error)) from error
