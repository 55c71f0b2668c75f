"""Runs the pytest-celery tests where the containers' published ports can be reached."""

import os
import sys

from tests.acceptance.conftest import ROOT, run_inside
from tests.support.engines import remove_tables, tables
from worker.local.private_engine import PrivateEngine


def test_worker_and_redis_as_containers_by_pytest_celery(
    engine: PrivateEngine, worker_image: str, busybox: str
) -> None:
    """Ping, create and delete a pod, take up a killed worker's task."""
    plugin = ["-p", "pytest_celery", "-p", "no:cacheprovider", "--noconftest", "--rootdir", str(ROOT)]
    done = run_inside(
        engine,
        *(sys.executable, "-m", "pytest", "-x", "-q", "-W", "default", *plugin),
        "tests/acceptance/celery_containers/smoke.py",
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": engine.url},
        timeout=280,
    )
    print(done.stdout[-3000:])
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "3 passed" in done.stdout
    # Made by workers in containers, on the Engine that all tests share.
    assert tables(engine) == ["pinacle-pinacle"]
    remove_tables(engine)
