"""What `make up` prints reaches its reader, whatever standard output is; and nobody has to read it."""

import os
import socket
import subprocess
import sys
from typing import Final

from tests.support.worker import ROOT

PRINTS: Final = """
import os, sys
from worker.local.up.output import pass_on_output
pass_on_output("next\\n")
# As supervisord does, which opens its standard output again by its name.
with open("/dev/fd/1", "ab", buffering=0) as output:
    for number in range(int(sys.argv[1])):
        output.write(f"line {number} {'x' * 1000}\\n".encode())
    output.write(b"worker@vm ready.\\nlast\\n")
"""


def printing(lines: int, output: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", PRINTS, str(lines)]
    return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.PIPE)


def test_a_socket_gets_all_of_it_and_the_next_lines_once_the_worker_is_ready() -> None:
    """As journald's is."""
    ours, theirs = socket.socketpair()
    process = printing(100, theirs.fileno())
    theirs.close()
    whole = b""
    with ours:
        while piece := ours.recv(65536):
            whole += piece
    assert process.communicate()[1] == b""
    lines = whole.decode().splitlines()
    assert [line.split()[1] for line in lines[:100]] == list(map(str, range(100)))
    assert sorted(lines[100:]) == ["last", "next", "worker@vm ready."]
    assert lines.index("next") > lines.index("worker@vm ready.")


def test_it_goes_on_when_nobody_reads_any_more() -> None:
    """More is printed than a pipe holds."""
    reading, writing = os.pipe()
    process = printing(1000, writing)
    os.close(writing)
    os.close(reading)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0
