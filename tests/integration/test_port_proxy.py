"""A published port of a private Engine: it answers in one network namespace, and leads into another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support.machine import Machine
from worker.local.network.connection import write_port_proxy
from worker.local.packages import find
from worker.local.waiting import wait_until

PORT: Final = 7070
_S: Final = 20
ECHO: Final = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
server = socket.socket(socket.AF_INET, kind)
server.bind(("127.0.0.1", 7071))
if sys.argv[1] == "tcp":
    server.listen()
print("ready", flush=True)
while True:
    if sys.argv[1] == "tcp":
        client, _ = server.accept()
        whole = b""
        while piece := client.recv(65536):
            whole += piece
        client.sendall(whole[::-1])
        client.close()
    else:
        piece, sender = server.recvfrom(65536)
        server.sendto(piece[::-1], sender)
"""
ASK: Final = """
import socket, sys
kind = socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM
client = socket.socket(socket.AF_INET, kind)
client.settimeout(10)
client.connect(("127.0.0.1", 7070))
client.send(sys.argv[2].encode())
if kind is socket.SOCK_STREAM:
    client.shutdown(socket.SHUT_WR)
whole = b""
while piece := client.recv(65536):
    whole += piece
    if kind is socket.SOCK_DGRAM:
        break
print(whole.decode(), end="")
"""


@pytest.fixture
def namespaces() -> Iterator[tuple[Machine, Machine]]:
    """The machine on which the port answers, and the one with the container."""
    ip = find("ip") or "ip"
    both = Machine(f"proxy-out-{os.getpid()}"), Machine(f"proxy-in-{os.getpid()}")
    with ExitStack() as stack:
        for each in both:
            subprocess.run([ip, "netns", "add", each.name], check=True)
            stack.callback(subprocess.run, [ip, "netns", "delete", each.name], check=True)
            subprocess.run([ip, "-n", each.name, "link", "set", "lo", "up"], check=True)
        yield both


@contextmanager
def sleeper(machine: Machine) -> Iterator[int]:
    """Run a process in a namespace, as supervisord is in the host's."""
    process = subprocess.Popen([*machine.inside, "sleep", "1000"])
    own = Path("/proc/self/ns/net").readlink()
    try:
        wait_until(lambda: Path(f"/proc/{process.pid}/ns/net").readlink() != own, _S, what="its namespace")
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def proxy(program: Path, inner: Machine, protocol: str) -> Iterator[str]:
    """Run it as the Engine does; what is yielded is what it answers on file descriptor 3."""
    reading, writing = os.pipe()
    words = ["-proto", protocol, "-host-ip", "127.0.0.1", "-host-port", str(PORT)]
    words += ["-container-ip", "127.0.0.1", "-container-port", "7071", "-of-a-newer-engine"]
    process = subprocess.Popen(
        [*inner.inside, "bash", "-c", f'exec 3>&{writing}; exec "$0" "$@"', program, *words],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        yield os.read(reading, 1000).decode()
    finally:
        os.close(reading)
        process.terminate()
        process.wait(_S)


@contextmanager
def echo(inner: Machine, protocol: str) -> Iterator[None]:
    process = subprocess.Popen([*inner.inside, sys.executable, "-c", ECHO, protocol], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_what_comes_to_the_port_reaches_the_container_and_back(
    namespaces: tuple[Machine, Machine], tmp_path: Path, protocol: str
) -> None:
    """A connection that is closed for writing still gets its answer."""
    outer, inner = namespaces
    with sleeper(outer) as pid, echo(inner, protocol):
        program = write_port_proxy(tmp_path / "with a space", pid)
        with proxy(program, inner, protocol) as answer:
            assert answer == "0\n"
            for text in ("abc", "x" * 20_000 + "y"):
                assert outer.run(sys.executable, "-c", ASK, protocol, text) == text[::-1]


def test_a_port_that_another_program_has_is_reported_in_the_engines_words(
    namespaces: tuple[Machine, Machine], tmp_path: Path
) -> None:
    """So the worker gives another port to a pod that asked for none, and refuses one that was asked for."""
    outer, inner = namespaces
    with sleeper(outer) as pid:
        program = write_port_proxy(tmp_path / "proxy", pid)
        with proxy(program, inner, "tcp") as first, proxy(program, inner, "tcp") as second:
            assert first == "0\n"
            assert second == f"1\nlisten tcp 127.0.0.1:{PORT}: bind: address already in use"
