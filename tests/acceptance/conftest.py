"""The worker's image, built from the repository's own Dockerfile on a base of distribution packages."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from worker.local.images import import_python
from worker.local.packages import find, require
from worker.local.private_engine import PrivateEngine

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".pinacle" / "cache"


@pytest.fixture(scope="session")
def python_base(engine: PrivateEngine) -> str:
    return import_python(engine, CACHE)


@pytest.fixture(scope="session")
def worker_image(engine: PrivateEngine, python_base: str) -> str:
    """The image from `docker build` as in the docs, with another base image."""
    return build_worker(engine, "pinacle-worker", BASE_IMAGE=python_base)


@pytest.fixture(scope="session")
def worker_image_with_traces(engine: PrivateEngine, python_base: str) -> str:
    return build_worker(
        engine, "pinacle-worker-traces", BASE_IMAGE=python_base, REQUIREMENTS="requirements-traces.lock"
    )


def build_worker(engine: PrivateEngine, tag: str, **arguments: str) -> str:
    docker = [find("docker") or "docker", "-H", engine.url]
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    subprocess.run(
        [*docker, "build", "-q", "-f", "worker/Dockerfile", *words, "-t", tag, "."],
        check=True,
        cwd=ROOT,
        # The classic builder: BuildKit is a separate package, and this base is not in any registry.
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.DEVNULL,
    )
    return tag


@pytest.fixture(scope="session")
def prometheus_image(
    engine: PrivateEngine, python_base: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Debian's Prometheus in an image, instead of the published one."""
    require("prometheus")
    folder = tmp_path_factory.mktemp("prometheus-image")
    shutil.copy(find("prometheus") or "", folder / "prometheus")
    (folder / "Dockerfile").write_text(f"FROM {python_base}\nCOPY prometheus /usr/bin/\n")
    engine.docker("build", "-q", "-t", "pinacle-prometheus", str(folder))
    return "pinacle-prometheus"


def run_inside(engine: PrivateEngine, *command: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command in the Engine's network namespace, where its published ports are."""
    return subprocess.run(
        [*engine.inside(), *command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        **more,
    )
