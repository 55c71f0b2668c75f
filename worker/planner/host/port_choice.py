"""Host ports: a free one is chosen once and stays the pod's until it is deleted."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final
from zlib import crc32

from worker.errors import PortTakenError, RangeUsedUpError
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
    looked: int | None = None,
) -> tuple[PublishedPort, ...]:
    """Return the spec's ports with host ports settled: those asked for, those had before, or free ones.

    Those in `avoid` are not chosen, as programs of the host have them. If `reserved` is about the first
    `looked` free ports only, no others are chosen. Raises PortTakenError, naming the port and the pod that
    has it, and RangeUsedUpError if none is left.
    """
    others = _Taken([*avoid, *(port for port, owner in reserved if owner != pod_id)])
    chosen: list[PublishedPort] = []
    for number, asked in enumerate(spec.ports):
        host = (
            asked.host
            or _had_before(asked, before)
            or _free_port(number, asked, others, _in_turn(pod_id, number, free, looked), free)
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
        others.add(port)
    return tuple(chosen)


def ports_to_look_at(
    pod_id: str, spec: PodSpec, *, before: Sequence[PublishedPort], free: range, looked: int
) -> Iterator[PublishedPort]:
    """Yield each port whose reservation matters to a choice from the first `looked` free ones.

    Not for a wildcard address: another pod's may be any.
    """
    for number, asked in enumerate(spec.ports):
        settled = asked.host or _had_before(asked, before)
        hosts = _in_turn(pod_id, number, free, looked) if settled is None else [settled]
        for host in hosts:
            for address in {asked.address, *_WILDCARDS}:
                yield PublishedPort(container=0, host=host, protocol=asked.protocol, address=address)


def asks_for_wildcard(spec: PodSpec) -> bool:
    """Whether a spec has a port on all addresses of the host."""
    return any(asked.address in _WILDCARDS for asked in spec.ports)


class _Taken:
    """Ports by their numbers, so that a look-up does not go through all of them."""

    def __init__(self, ports: Iterable[PublishedPort]) -> None:
        self._by_number: dict[tuple[int, str], list[PublishedPort]] = {}
        for port in ports:
            self.add(port)

    def add(self, port: PublishedPort) -> None:
        self._by_number.setdefault((port.host, port.protocol), []).append(port)

    def has(self, port: PublishedPort) -> bool:
        return any(clash(port, other) for other in self._by_number.get((port.host, port.protocol), ()))


def clash(one: PublishedPort, other: PublishedPort) -> bool:
    """Whether two published ports cannot both be bound on one host."""
    same_port = (one.host, one.protocol) == (other.host, other.protocol)
    return same_port and (one.address == other.address or bool({one.address, other.address} & _WILDCARDS))


def chosen_and_taken(intent: Intent, text: str) -> tuple[PublishedPort, ...]:
    """Return those ports for which others may be chosen, of those that the Engine says are taken.

    It names the first one that it met; if its words name none of ours, all that were chosen are meant.
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


def _in_turn(pod_id: str, number: int, free: range, looked: int | None) -> Iterator[int]:
    """Begin at a place that depends on the pod's name, so that two pods rarely try the same ports."""
    first = crc32(f"{pod_id}:{number}".encode()) % max(len(free), 1)
    for offset in range(len(free) if looked is None else min(looked, len(free))):
        yield free[(first + offset) % len(free)]


def _free_port(number: int, asked: PortSpec, taken: _Taken, in_turn: Iterator[int], free: range) -> int:
    for host in in_turn:
        candidate = PublishedPort(
            container=asked.container, host=host, protocol=asked.protocol, address=asked.address
        )
        if not taken.has(candidate):
            return host
    raise RangeUsedUpError(
        f"spec.ports[{number}].host: no free port is left in {free.start}-{free.stop - 1}; "
        "allowed: a port outside it, or a wider PINACLE_PORT_RANGE"
    )
