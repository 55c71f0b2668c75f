"""One published port: this listens in one network namespace, and passes on to a container in another.

A Docker Engine runs this as its `--userland-proxy-path`, in its own namespace and with the arguments of
`docker-proxy`, and reads from file descriptor 3 whether the port could be opened.
"""

import argparse
import asyncio
import ctypes
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

_Address = tuple[Any, ...]
_PIECE = 65536
_NEW_NET = 0x40000000
"""CLONE_NEWNET of sched.h."""
_ANSWER = 3
_QUIET_S = 90.0
"""Seconds without a datagram after which a sender is forgotten, as by Docker's own proxy."""


def main() -> None:
    given = _arguments()
    try:
        listener = _listener(given)
    except OSError as error:
        where = f"listen {given.proto} {given.host_ip}:{given.host_port}"
        # In the words of Docker's own proxy, as the Engine and the worker recognise them.
        _answer(f"1\n{where}: bind: {(error.strerror or str(error)).lower()}")
        sys.exit(1)
    _answer("0\n")
    target = (str(given.container_ip), int(given.container_port))
    serve = _serve_tcp if given.proto == "tcp" else _serve_udp
    asyncio.run(serve(listener, target))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace", required=True)
    parser.add_argument("-proto", choices=["tcp", "udp"], required=True)
    parser.add_argument("-host-ip", required=True)
    parser.add_argument("-host-port", type=int, required=True)
    parser.add_argument("-container-ip", required=True)
    parser.add_argument("-container-port", type=int, required=True)
    # Newer Engines have an option for sockets that they opened themselves, but in the wrong namespace.
    return parser.parse_known_args()[0]


def _listener(given: argparse.Namespace) -> socket.socket:
    """Return the socket, bound in the other namespace; this process stays where it is."""
    family = socket.AF_INET6 if ":" in given.host_ip else socket.AF_INET
    kind = socket.SOCK_STREAM if given.proto == "tcp" else socket.SOCK_DGRAM
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(given.namespace, os.O_RDONLY)
    _enter(other)
    try:
        bound = socket.socket(family, kind)
        if kind is socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((given.host_ip, given.host_port))
        if kind is socket.SOCK_STREAM:
            bound.listen(socket.SOMAXCONN)
    finally:
        _enter(own)
    bound.setblocking(False)  # noqa: FBT003 - its only form
    return bound


def _enter(namespace: int) -> None:
    # `os.setns` exists only from Python 3.12 on.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _NEW_NET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _answer(text: str) -> None:
    with suppress(OSError):
        os.write(_ANSWER, text.encode())
        os.close(_ANSWER)


async def _serve_tcp(listener: socket.socket, target: tuple[str, int]) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        except OSError:
            pass  # One of the two is gone: nobody is left to report it to.
        finally:
            inner_writer.close()
            writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side sends until it ends; the other direction may go on after that."""
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _serve_udp(listener: socket.socket, target: tuple[str, int]) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: _Senders(target), sock=listener)
    await loop.create_future()


class _Datagrams(asyncio.DatagramProtocol):
    """One socket."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)


class _Senders(_Datagrams):
    """Gives each sender a socket of its own to the container, so that answers find their way back."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._known: dict[_Address, _Sender] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: _Address) -> None:
        known = self._known.get(addr)
        if known is not None and not known.is_forgotten:
            known.send(data)
            return
        task = asyncio.get_running_loop().create_task(self._open(data, addr))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, data: bytes, addr: _Address) -> None:
        loop = asyncio.get_running_loop()
        _, sender = await loop.create_datagram_endpoint(
            lambda: _Sender(lambda answer: self.transport.sendto(answer, addr)), remote_addr=self._target
        )
        self._known = {known: each for known, each in self._known.items() if not each.is_forgotten}
        self._known[addr] = sender
        sender.send(data)


class _Sender(_Datagrams):
    """One sender's socket to the container, as long as either side sends anything."""

    def __init__(self, give_back: Callable[[bytes], None]) -> None:
        self._give_back = give_back
        self._end: asyncio.TimerHandle | None = None
        self.is_forgotten = False

    def send(self, data: bytes) -> None:
        self.transport.sendto(data)
        self._stay()

    def datagram_received(self, data: bytes, _addr: _Address) -> None:
        self._give_back(data)
        self._stay()

    def connection_lost(self, _error: Exception | None) -> None:
        self.is_forgotten = True

    def _stay(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(_QUIET_S, self.transport.close)


if __name__ == "__main__":
    main()
