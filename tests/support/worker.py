"""A worker process as users run it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

from worker.local.waiting import wait_until

ROOT = Path(__file__).parents[2]


class WorkerProcess:
    """`python -m worker`, with settings of its own."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, str],
        name: str = "worker",
        *,
        root: Path = ROOT,
        python: str = sys.executable,
        umask: int = -1,
    ) -> None:
        """`root` is where its code is, and `python` what runs it: a worker of another commit has its own.

        `umask` is that of this process if it is negative.
        """
        self._umask = umask
        self._root = root
        self._python = python
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
        command = [self._python, "-m", "worker", "-n", f"{self.name}@%h"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._root,
                umask=self._umask,
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
        """End it as a supervisor does; return its exit code."""
        return self._end(SIGTERM)

    def signal(self, number: Signals) -> None:
        os.kill(self.pid, number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep it from doing anything for a while, such as replacing a container that a test has removed."""
        self.signal(SIGSTOP)
        try:
            yield
        finally:
            self.signal(SIGCONT)

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
