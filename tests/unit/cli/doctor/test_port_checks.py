"""Published ports: which are tried, what is found by connecting, and what is made of it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from worker.cli.doctor import port_checks
from worker.cli.doctor.checks import Status
from worker.cli.doctor.port_checks import Found, Port
from worker.pods.model import Intent, IntentKind, Phase, PodState, PublishedPort, Record

ALL: Final = "0.0.0.0"  # noqa: S104 - what a spec asked for


def record(pod_id: str, *ports: dict[str, Any], phase: Phase = Phase.RUNNING, host: str = "here") -> Record:
    usual = {"container": 80, "host": 20000, "protocol": "tcp", "address": "127.0.0.1"}
    published = tuple(PublishedPort(**{**usual, **port}) for port in ports)
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=None, ports=published)
    return Record(pod_id=pod_id, host=host, intent=intent, state=PodState(phase=phase))


def test_one_tcp_port_of_each_running_pod_of_this_host_is_tried() -> None:
    found = port_checks.published(
        [
            record("b", {"protocol": "udp"}, {"host": 20001, "address": ALL}, {"host": 20002}),
            record("a", {}),
            record("rests", {}, phase=Phase.STOPPED),
            record("elsewhere", {}, host="there"),
            record("udp", {"protocol": "udp"}),
            record("none"),
        ],
        "here",
    )
    assert found == [Port("a", "127.0.0.1", 20000), Port("b", "127.0.0.1", 20001)]


@asynccontextmanager
async def listening(behaviour: str) -> AsyncIterator[int]:
    """Listen as a program, or as the Engine's proxy in front of nothing."""
    over = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if behaviour == "greets":
            writer.write(b"hello")
        if behaviour == "waits":
            await over.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("behaviour", "found"), [("waits", Found.OPEN), ("greets", Found.OPEN), ("closes", Found.SILENT)]
)
async def test_a_connection_shows_what_is_behind_a_port(behaviour: str, found: Found) -> None:
    async with listening(behaviour) as number:
        port = Port("a", "127.0.0.1", number)
        assert await port_checks.tried([port]) == {port: found}


async def test_a_port_on_which_nothing_listens_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = Port("a", "127.0.0.1", taken.getsockname()[1])
        assert await port_checks.tried([port]) == {port: Found.REFUSED}


def test_an_interface_is_here_or_in_another_network() -> None:
    assert port_checks.is_here("lo")
    assert not port_checks.is_here("br-0123456789ab")


A, B = Port("a", "127.0.0.1", 20000), Port("b", "::1", 20001)


@pytest.mark.parametrize(
    ("found", "here", "status", "words"),
    [
        ({}, True, Status.OK, "none to try"),
        ({A: Found.OPEN, B: Found.OPEN}, True, Status.OK, "2 of 2 lead to their pods"),
        ({A: Found.OPEN, B: Found.SILENT}, True, Status.OK, "in 1 of these no program listens"),
        ({A: Found.OPEN, B: Found.REFUSED}, True, Status.WARN, "b at [::1]:20001: the connection is refused"),
        ({A: Found.LOST}, True, Status.WARN, "0 of 1 lead to their pods; a at 127.0.0.1:20000: no answer"),
        ({A: Found.REFUSED}, False, Status.WARN, "not on the Engine's network"),
        ({A: Found.OPEN}, False, Status.OK, "1 of 1"),
    ],
)
def test_ports_are_judged_by_what_was_found(
    found: dict[Port, Found], here: bool, status: Status, words: str
) -> None:
    check = port_checks.ports(found, here=here)
    assert (check.status, words in check.detail) == (status, True), check
