"""Host ports: a free one is chosen once and stays the pod's until it is deleted."""

import re
from collections.abc import Collection, Sequence
from typing import Final
from zlib import crc32

from worker.errors import PortTakenError
from worker.pods.model import Intent, PublishedPort
from worker.pods.spec import PodSpec, PortSpec

_WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def choose_ports(
    pod_id: str,
    spec: PodSpec,
    *,
    before: Sequence[PublishedPort],
    reserved: Collection[tuple[PublishedPort, str]],
    free: range,
    avoid: Sequence[PublishedPort] = (),
) -> tuple[PublishedPort, ...]:
    """Return the spec's ports with host ports settled: those asked for, those had before, or free ones.

    Those in `avoid` are not chosen, as programs of the host have them. Raises PortTakenError, naming the port
    and who has it, or that the range is used up.
    """
    others = [*avoid, *(port for port, owner in reserved if owner != pod_id)]
    chosen: list[PublishedPort] = []
    for number, asked in enumerate(spec.ports):
        host = (
            asked.host
            or _had_before(asked, before)
            or _free_port(pod_id, number, asked, others + chosen, free)
        )
        port = PublishedPort(
            container=asked.container, host=host, protocol=asked.protocol, address=asked.address
        )
        owner = next((who for taken, who in reserved if who != pod_id and clash(taken, port)), None)
        if owner is not None:
            raise PortTakenError(
                f"spec.ports[{number}].host: {host}/{port.protocol} on {port.address} is reserved by pod "
                f"{owner!r}; allowed: another port, or none to have a free one chosen"
            )
        chosen.append(port)
    return tuple(chosen)


def clash(one: PublishedPort, other: PublishedPort) -> bool:
    """Whether two published ports cannot both be bound on one host."""
    same_port = (one.host, one.protocol) == (other.host, other.protocol)
    return same_port and (one.address == other.address or bool({one.address, other.address} & _WILDCARDS))


def chosen_and_taken(intent: Intent, text: str) -> tuple[PublishedPort, ...]:
    """Return those ports for which others may be chosen, of those that the Engine says are taken.

    It names the first that it met; where its words name none of ours, all that were chosen are meant.
    """
    named = [port for port in intent.ports if _is_named(port, text)]
    return tuple(port for port in named or intent.ports if _was_chosen(intent, port))


def _is_named(port: PublishedPort, text: str) -> bool:
    address = f"[{port.address}]" if ":" in port.address else port.address
    return re.search(rf"(?<![\d.]){re.escape(address)}:{port.host}(?!\d)", text) is not None


def _was_chosen(intent: Intent, port: PublishedPort) -> bool:
    asked = intent.spec.ports if intent.spec is not None else ()
    place = (port.container, port.protocol, port.address)
    return any(each.host is None and (each.container, each.protocol, each.address) == place for each in asked)


def _had_before(asked: PortSpec, before: Sequence[PublishedPort]) -> int | None:
    wanted = (asked.container, asked.protocol, asked.address)
    return next((p.host for p in before if (p.container, p.protocol, p.address) == wanted), None)


def _free_port(pod_id: str, number: int, asked: PortSpec, taken: Sequence[PublishedPort], free: range) -> int:
    """Begin at a place that the pod's name gives, so that two pods seldom look at the same ports."""
    first = crc32(f"{pod_id}:{number}".encode()) % max(len(free), 1)
    for offset in range(len(free)):
        host = free[(first + offset) % len(free)]
        candidate = PublishedPort(
            container=asked.container, host=host, protocol=asked.protocol, address=asked.address
        )
        if not any(clash(candidate, port) for port in taken):
            return host
    raise PortTakenError(
        f"spec.ports[{number}].host: no free port is left in {free.start}-{free.stop - 1}; "
        "allowed: a port outside it, or a wider PINACLE_PORT_RANGE"
    )
