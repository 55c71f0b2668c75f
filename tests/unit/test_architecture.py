"""Each contract of the architecture is broken on purpose, as a contract with a hole would go unnoticed."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
MOST_LINES: Final = 60
"""Of a function, its signature and docstring included."""
MOST_FILES: Final = 14
"""Of a folder of the worker, whatever kind they are."""
BREAKS: Final = {
    "a task's module in the worker": ("worker/host/passes.py", "import tasks.pods", "tasks.pods"),
    "a lower room that asks a higher one": (
        "worker/pods/spec.py",
        "import worker.planner.plan",
        "worker.planner.plan",
    ),
    "two rooms of one layer": ("worker/store/keys.py", "import worker.docker.calls", "worker.docker.calls"),
    "the Engine's API in the reconciler": ("worker/reconcile/apply.py", "import aiodocker", "aiodocker"),
    "HTTP in the service": ("worker/service/preflight.py", "import aiohttp", "aiohttp"),
    "Redis in the watcher": ("worker/host/watcher.py", "import redis", "redis"),
    "Redis in a task": ("tasks/pods.py", "import redis.asyncio", "redis"),
    "Prometheus in a pass": ("worker/host/passes.py", "import prometheus_client", "prometheus_client"),
    "OpenTelemetry in the adapter": ("worker/docker/calls.py", "import opentelemetry", "opentelemetry"),
    "Celery in the reconciler": ("worker/reconcile/reconciler.py", "import celery", "celery"),
    "an event loop in the planner": ("worker/planner/plan.py", "import asyncio", "asyncio"),
    "a clock in the model": ("worker/pods/model.py", "import time", "time"),
    "a log in the planner": ("worker/planner/volumes/kept.py", "import structlog", "structlog"),
    "the environment in the core": ("worker/planner/host/claim.py", "import os", "os"),
    "an event loop in a task": ("tasks/hosts.py", "import asyncio", "asyncio"),
    "a clock in the service": ("worker/service/preflight.py", "import time", "time"),
    "a room of ours in the client": ("worker/client/names.py", "import worker.quoting", "worker.quoting"),
    "a log in the command line": ("worker/cli/tables.py", "import structlog", "structlog"),
}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what the check says about a copy with all contracts broken and a module in no layer."""
    copy = tmp_path_factory.mktemp("broken")
    for part in ("config", "tasks", "worker"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, line, _imported in BREAKS.values():
        module = copy / path
        module.write_text(f"{module.read_text()}\n{line}\n")
    (copy / "worker" / "homeless.py").write_text('"""In no layer."""\n')
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_no_contract_holds_when_all_are_broken(verdict: str) -> None:
    assert " KEPT" not in verdict


@pytest.mark.parametrize("situation", BREAKS)
def test_an_import_that_is_not_allowed_is_named(situation: str, verdict: str) -> None:
    path, _line, imported = BREAKS[situation]
    importer = path.removesuffix(".py").replace("/", ".")
    assert f"{importer} -> {imported}" in verdict


def test_a_module_in_no_layer_is_named(verdict: str) -> None:
    assert "homeless" in verdict


def test_no_function_is_longer_than_a_screen() -> None:
    modules = [path for part in ("config", "tasks", "worker") for path in (ROOT / part).rglob("*.py")]
    assert [name for path in modules for name in _long_functions(path)] == []


def test_no_room_has_more_files_than_a_reader_finds_through() -> None:
    rooms = {ROOT / "worker", *(path for path in (ROOT / "worker").rglob("*") if path.is_dir())}
    crowded = {
        str(room.relative_to(ROOT)): count
        for room in rooms
        if room.name != "__pycache__"
        and (count := sum(path.is_file() for path in room.iterdir())) > MOST_FILES
    }
    assert crowded == {}


def _long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        lines = node.end_lineno - node.lineno + 1
        if lines > MOST_LINES:
            yield f"{path.relative_to(ROOT)}: {node.name} has {lines} lines"
