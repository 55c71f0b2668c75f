"""What commands load: each module that they do not need makes everybody wait."""

import json
import subprocess
import sys
from typing import Final

import pytest

_ENGINE: Final = ("aiodocker", "aiohttp", "worker.docker", "worker.process")
_SENDING: Final = ("billiard", "celery", "kombu", "worker.cli.asking.sending")
_REST: Final = (
    "prometheus_client",
    "supervisor",
    "flower",
    "stamina",
    "worker.app",
    "worker.planner",
    "worker.pods.model",
    "worker.telemetry",
    "opentelemetry.metrics",
)
_STORE: Final = ("redis", "structlog", "pydantic_settings", "asyncio")
_NEVER: Final[dict[str, tuple[str, ...]]] = {
    "--help": (*_ENGINE, *_SENDING, *_REST, *_STORE),
    "--version": (*_ENGINE, *_SENDING, *_REST, *_STORE),
    "completion": (*_ENGINE, *_SENDING, *_REST, *_STORE),
    "pods ls": (*_ENGINE, *_SENDING, *_REST, "structlog", "worker.store.redis_store"),
    "pods get abc": (*_ENGINE, *_SENDING, *_REST, "structlog", "worker.store.redis_store"),
}
_RUN: Final = """
import json, sys
import worker.cli.__main__
from worker.cli.command import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""
_NOWHERE: Final = "redis://127.0.0.1:1/0"
"""Nobody answers there: by then, all is loaded that a question needs."""


@pytest.mark.parametrize("command", _NEVER)
def test_a_command_loads_only_what_it_needs(command: str) -> None:
    words, env = command.split(), {"PINACLE_REDIS_URL": _NOWHERE}
    if command == "completion":
        env |= {"_PINACLE_COMPLETE": "complete_bash", "COMP_WORDS": "pinacle pods s", "COMP_CWORD": "2"}
        words = []
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words], env=env, capture_output=True, text=True, check=False
    )
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == (4 if command in {"pods ls", "pods get abc"} else 0), done.stderr
    assert set(_NEVER[command]) & set(loaded) == set()
