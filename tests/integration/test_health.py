"""`python -m worker.health` beside a real worker: it reports what hangs, and no outage."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.worker import ROOT, WorkerProcess
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

HANG = """
import sys, time
from celery import bootsteps
from worker.__main__ import main
from worker.app import app

class Hang(bootsteps.StartStopStep):
    requires = ("celery.worker.consumer.tasks:Tasks",)
    def start(self, parent):
        parent.timer.call_after(0.5, time.sleep, (600,))

if "hang" in sys.argv:
    sys.argv.remove("hang")
    app.steps["consumer"].add(Hang)
main()
"""


@pytest.fixture
def environment(tmp_path: Path, settings: dict[str, str], own_redis: RedisServer) -> dict[str, str]:
    """A worker's environment, with a temporary folder of its own, and two beats a second."""
    return {
        **settings,
        "TMPDIR": str(tmp_path),
        "PINACLE_REDIS_URL": own_redis.url,
        "PINACLE_HEARTBEAT_TTL_S": "2",
    }


@pytest.fixture
def worker(tmp_path: Path, environment: dict[str, str], engine: PrivateEngine) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(tmp_path, environment)
    worker.start()
    yield worker
    worker.kill()


def complaint(environment: dict[str, str], oldest_s: float = 3) -> str:
    """Return what the check complains about, nothing if all is well."""
    command = [sys.executable, "-m", "worker.health", "--oldest-s", str(oldest_s)]
    done = subprocess.run(
        command, cwd=ROOT, env={**environment}, check=False, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


def test_a_worker_is_well_through_an_outage_and_not_when_it_hangs(
    worker: WorkerProcess, environment: dict[str, str], own_redis: RedisServer
) -> None:
    """Redis is away for longer than beats may be missing; then the whole process is held."""
    wait_until(lambda: complaint(environment) == "", 20, what="a worker that is well")
    (consumer,) = Path(environment["TMPDIR"]).glob("pinacle-*/*.consumer")
    own_redis.kill()
    wait_until(lambda: not consumer.exists(), 20, what="the consumer to say that it is not connected")
    assert complaint(environment) == ""
    own_redis.start()
    wait_until(consumer.exists, 30, what="the consumer to take messages again")
    assert complaint(environment) == ""
    with worker.held():
        wait_until(lambda: "its event loop hangs" in complaint(environment), 20, what="a complaint")
    wait_until(lambda: complaint(environment) == "", 20, what="a worker that is well again")
    assert worker.stop() == 0
    assert "no worker is alive" in complaint(environment)


def test_a_consumer_that_hangs_is_reported_although_the_event_loop_goes_on(
    tmp_path: Path, environment: dict[str, str], engine: PrivateEngine
) -> None:
    """A callback of its loop that never returns keeps it from taking messages."""
    script = tmp_path / "hanging.py"
    script.write_text(HANG)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(script), "hang"],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(
            lambda: "its consumer of messages hangs" in complaint(environment, 2),
            40,
            what="a complaint about the consumer",
            failed=lambda: (tmp_path / "log").read_text()[-2000:] if process.poll() is not None else None,
        )
        assert "event loop" not in complaint(environment, 2)
    finally:
        process.kill()
        process.wait(10)
