"""Traces are off unless they are wanted, and then cost nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
SETUP: Final = "; import worker.app as a; a.app.loader.import_default_modules(); a._start_traces(); "
LOADED: Final = "print(*sorted(sys.modules))"
WITHOUT: Final = "sys.modules['opentelemetry'] = None"
"""Makes Python find no such package, as if it were not installed."""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    return subprocess.run(
        [sys.executable, "-c", f"import sys; {script}"],
        cwd=ROOT,
        env={**given, **environment},
        check=True,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("endpoint", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}], ids=["unset", "empty"])
def test_nothing_of_opentelemetry_is_loaded(endpoint: dict[str, str]) -> None:
    """By us. redis-py looks for the package itself, so the image has it only on request."""
    loaded = run(f"pass{SETUP}{LOADED}", **endpoint).stdout.split()
    ours = (
        "worker.telemetry.traces",
        "opentelemetry.instrumentation",
        "opentelemetry.exporter",
        "google.protobuf",
    )
    assert not [name for name in loaded if name.startswith(ours)]


def test_none_is_needed_or_loaded_if_it_is_not_installed() -> None:
    loaded = run(f"{WITHOUT}{SETUP}{LOADED}").stdout.split()
    assert not [name for name in loaded if name.startswith("opentelemetry.")]


def test_one_line_says_what_is_missing() -> None:
    """The worker goes on without traces."""
    done = run(f"{WITHOUT}{SETUP}", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert "traces_off" in done.stdout + done.stderr
    assert "requirements-traces.lock" in done.stdout + done.stderr
