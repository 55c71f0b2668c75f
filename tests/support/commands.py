"""The command line as an operator runs it: a process of its own, with or without a terminal."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pexpect

from tests.support.worker import ROOT

_OF_THE_MACHINE: Final = ("kernel limits", "user namespaces", "NTP", "limits of pods")

_LEFT_OUT: Final = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
_ENDED_S: Final = 60


@dataclass(frozen=True)
class Done:
    """What one run wrote, and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> str:
        """Return the one line that it ended with."""
        assert self.out == "", self
        assert len(self.err.splitlines()) == 1, self
        assert self.err.startswith("error: "), self
        assert "Traceback" not in self.err
        return self.err.strip()


@dataclass(frozen=True)
class Pinacle:
    """`python -m worker.cli` with settings."""

    settings: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)
    folder: Path = ROOT
    """Where it is run."""
    umask: int = -1
    """That of this process if it is negative."""
    columns: int = 60
    """Of a terminal."""

    def __call__(self, *words: str, stdin: str | None = None, code: int | None = 0) -> Done:
        """Run it without a terminal; it has to end with `code`, or with any code if that is None."""
        with self.begun(*words, stdin=stdin is not None) as process:
            out, err = process.communicate(stdin, timeout=_ENDED_S)
        done = Done(process.returncode, out, err)
        assert code in (None, done.code), done
        return done

    @contextmanager
    def begun(self, *words: str, stdin: bool = False) -> Iterator["subprocess.Popen[str]"]:
        """Begin it without a terminal; it is killed if it takes too long."""
        process = subprocess.Popen(
            self._command(words),
            cwd=self.folder,
            umask=self.umask,
            env=self._environment(),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def on_terminal(
        self,
        *words: str,
        prompt: str = "",
        typed: str = "",
        when_prompted: Callable[[], object] = lambda: None,
    ) -> tuple[int, str]:
        """Run it on a terminal; once `prompt` is shown, call `when_prompted` and type.

        Returns exit code and all that was shown.
        """
        command, *arguments = self._command(words)
        environment = {**self._environment(), "TERM": "xterm"}
        shown = StringIO()
        with pexpect.spawn(
            command,
            arguments,
            cwd=str(self.folder),
            env=environment,
            dimensions=(24, self.columns),
            encoding="utf-8",
            timeout=_ENDED_S,
        ) as terminal:
            terminal.logfile_read = shown
            if prompt:
                terminal.expect_exact(prompt)
                when_prompted()
                terminal.send(typed)
            terminal.expect(pexpect.EOF)
            code = terminal.wait()
        return code, shown.getvalue()

    def _command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "worker.cli", *words]

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
        return {**ours, **self.settings, **self.more}


def statuses(report: dict[str, Any]) -> dict[str, str]:
    """Return the doctor's results, without those about the machine, which whoever runs the tests chose."""
    return {
        check["name"]: check["status"] for check in report["checks"] if check["name"] not in _OF_THE_MACHINE
    }
