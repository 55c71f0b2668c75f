"""A worker process as users run it, and a client that calls its tasks by name as a web app does."""

import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING, Any

from celery import Celery

from worker.local.waiting import wait_until

if TYPE_CHECKING:
    from celery.result import AsyncResult

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """`celery -A worker.app:app worker`, with settings of its own."""

    def __init__(self, folder: Path, settings: dict[str, str], name: str = "worker") -> None:
        self.settings = settings
        self.name = name
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the worker was not started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it takes work."""
        offset = self.log.stat().st_size if self.log.exists() else 0
        command = [sys.executable, "-m", "celery", "-A", "worker.app:app", "worker", "-n", f"{self.name}@%h"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(
            lambda: " ready." in self.text()[offset:],
            60,
            what=f"worker {self.name}",
            failed=lambda: None if self.is_running() else self.text()[-2000:],
        )

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        self._end(SIGKILL)

    def stop(self) -> int:
        """End it as a supervisor does; returns its exit code."""
        return self._end(SIGTERM)

    def signal(self, number: Signals) -> None:
        os.kill(self.pid, number)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def _end(self, number: Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        code = self._process.wait(90)
        self._process = None
        return code


class Client:
    """Calls tasks by name, without importing any of our code."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery(broker=redis_url, backend=redis_url)
        self._app.conf.broker_transport_options = {"socket_timeout": 10}

    def send(
        self, task: str, *args: Any, task_id: str | None = None, queue: str = "pods", **kwargs: Any
    ) -> "AsyncResult[Any]":
        return self._app.send_task(f"pods.{task}", args=args, kwargs=kwargs, queue=queue, task_id=task_id)

    def call(self, task: str, *args: Any, timeout_s: float = 90, **kwargs: Any) -> Any:
        """Call a task and return its result; raises what the task raised."""
        return self.send(task, *args, **kwargs).get(timeout=timeout_s)

    def error(self, task: str, *args: Any, **kwargs: Any) -> str:
        """Call a task that has to fail and return what its caller sees, the kind of error first."""
        try:
            answer = self.call(task, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the classes are made by Celery, from their names
            return f"{type(error).__name__}: {error}"
        raise AssertionError(f"pods.{task} should have failed and answered {answer}")

    def close(self) -> None:
        self._app.close()
