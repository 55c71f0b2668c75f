"""Checks whether the ports that pods publish can be reached from here."""

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final, NamedTuple

from worker.cli.doctor.checks import Check, ok, warn
from worker.pods.model import Phase, Record

MOST: Final = 50
"""Ports that are tried; one of each pod is enough."""
_CONNECTED_S: Final = 2.0
_CLOSED_S: Final = 0.3
_MOST_NAMED: Final = 5
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - connected to, not listened on


class Port(NamedTuple):
    """A port of the Engine's host that leads to a pod."""

    pod_id: str
    address: str
    number: int


class Found(Enum):
    OPEN = "a program answers"
    SILENT = "it leads to the pod, in which no program listens"
    REFUSED = "the connection is refused"
    LOST = "no answer"


def published(records: Iterable[Record], host: str) -> list[Port]:
    """Return a TCP port of each pod that runs on a host and publishes one."""
    return [
        Port(record.pod_id, _ANY.get(ports[0].address, ports[0].address), ports[0].host)
        for record in sorted(records, key=lambda record: record.pod_id)
        if record.host == host and record.unreadable is None and record.state.phase is Phase.RUNNING
        if (ports := [port for port in record.intent.ports if port.protocol == "tcp"])
    ][:MOST]


async def tried(ports: Sequence[Port]) -> dict[Port, Found]:
    """Connect to each port, and send nothing."""
    found = await asyncio.gather(*map(_try, ports))
    return dict(zip(ports, found, strict=True))


def is_here(interface: str) -> bool:
    """Whether this process is in the network of that interface. In a container, for example, it is not."""
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True


def ports(found: Mapping[Port, Found], *, here: bool) -> Check:
    """Whether all of them lead to their pods; `here` says whether this process is on the Engine's network."""
    name = "published ports"
    if not found:
        return ok(name, "none to try: no pod that runs here publishes a TCP port")
    bad = {port: how for port, how in found.items() if how in {Found.REFUSED, Found.LOST}}
    silent = sum(how is Found.SILENT for how in found.values())
    told = f"{len(found) - len(bad)} of {len(found)} lead to their pods"
    if not bad:
        return ok(name, f"{told}; in {silent} of these no program listens" if silent else told)
    named = "; ".join(f"{port.pod_id} at {_text(port)}: {how.value}" for port, how in _first(bad))
    if not here:
        return warn(
            name,
            f"{told} from here ({named}), which is not on the Engine's network",
            "run this on the Engine's host; a private Engine of `make up`, or one in a virtual machine, has "
            "a network of its own",
        )
    return warn(
        name,
        f"{told}; {named}",
        "restart Docker: something may have removed its rules of the packet filter (iptables, nft, "
        "firewalld); if its userland-proxy is off, perhaps no program listens in the pod",
    )


def _first(bad: Mapping[Port, Found]) -> list[tuple[Port, Found]]:
    return list(bad.items())[:_MOST_NAMED]


def _text(port: Port) -> str:
    return f"[{port.address}]:{port.number}" if ":" in port.address else f"{port.address}:{port.number}"


async def _try(port: Port) -> Found:
    try:
        async with asyncio.timeout(_CONNECTED_S):
            reader, writer = await asyncio.open_connection(port.address, port.number)
    except ConnectionRefusedError:
        return Found.REFUSED
    except OSError:
        return Found.LOST
    try:
        async with asyncio.timeout(_CLOSED_S):
            # The Engine's proxy accepts every connection, and closes it at once if nothing listens in the
            # pod.
            return Found.OPEN if await reader.read(1) else Found.SILENT
    except TimeoutError:
        return Found.OPEN
    except OSError:
        return Found.SILENT
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
