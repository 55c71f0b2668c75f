"""The worker's image with what traces need: it sends them to a collector."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import pytest

from tests.acceptance.compose.conftest import PROJECT, Ask, call
from tests.acceptance.conftest import CACHE, ROOT
from worker.local.compose import compose_program
from worker.local.private_engine import PrivateEngine

COLLECT: Final = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(self.path, b"traced" in body and b"pinacle.pod_id" in body, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass

server = HTTPServer((sys.argv[1], 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Prints its port, then for each request its path and whether it mentions the test's pod."""


@pytest.fixture
def collector(compose: Callable[..., str], engine: PrivateEngine) -> Iterator[tuple[str, IO[str]]]:
    """Run one on the stack's own bridge; yield its address and what it prints."""
    gateway = engine.docker(
        "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", f"{PROJECT}_default"
    ).strip()
    command = [*engine.inside(), sys.executable, "-c", COLLECT, gateway]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield f"http://{gateway}:{port}", process.stdout
        process.terminate()


@pytest.fixture
def with_traces(worker_image_with_traces: str, tmp_path: Path) -> Path:
    """Return a file that makes compose use the other image for the worker."""
    path = tmp_path / "traces.yml"
    path.write_text(f"services:\n  worker:\n    image: {worker_image_with_traces}\n")
    return path


def test_traces_of_a_pod_reach_the_collector(
    compose: Callable[..., str],
    environment: dict[str, str],
    with_traces: Path,
    collector: tuple[str, IO[str]],
    ask: Ask,
) -> None:
    """As the docs say: with another list of requirements, and the address to send them to."""
    address, received = collector
    files = ["-f", f"{ROOT}/docker-compose.yml", "-f", str(with_traces)]
    up = ("up", "-d", "--no-build", "--wait", "--wait-timeout", "120", "worker")
    subprocess.run(
        [compose_program(CACHE), "-p", PROJECT, *files, *up],
        check=True,
        env={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": address},
        capture_output=True,
    )
    try:
        assert call(ask, "create", "traced", {"image": "pinacle-busybox"})["phase"] == "running"
        assert call(ask, "delete", "traced")["phase"] == "deleted"
        assert "/v1/traces True\n" in iter(received.readline, "")
    finally:
        compose(*up)
