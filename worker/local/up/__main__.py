"""`make up`: decides what has to run, shows it, and becomes supervisord."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil

from config.settings import Settings, SettingsError, settings, stack_settings
from worker.local.engine_choice import WrongEngineError, choose_engine, note_engine
from worker.local.network.connection import OUTGOING, outgoing_command, write_port_proxy
from worker.local.packages import ENGINE, FILTER, MissingProgramsError, find, require
from worker.local.private_engine import PrivateEngine, answers
from worker.local.processes import inherited
from worker.local.redis import is_listening, server_command
from worker.local.up.output import pass_on_output
from worker.local.up.programs import Program, write_programs
from worker.local.up.screen import next_lines, show
from worker.local.up.secrets_kept import flower_password, redis_url, write_private

ROOT: Final = Path(__file__).parents[3]
_REDIS_PORT: Final = 6399
_FLOWER_PORT: Final = 5555
_TRIED: Final = 100
"""Ports after the usual one that may be free instead."""
_IMAGE: Final = "debian:12-slim"


class CannotStartError(Exception):
    """Something is in the way, and a person has to remove it."""


@dataclass
class Stack:
    """What has to run, and what its programs share."""

    programs: list[Program] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    flower: str = ""
    """The address of its page."""


def main() -> None:
    """Decide what is needed, show it, and become supervisord."""
    try:
        folder = (stack_settings().folder or ROOT / ".pinacle").absolute()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        _refuse_second(folder)
        stack = plan_stack(folder)
        config = folder / "supervisord.conf"
        write_programs(config, ROOT / "config" / "supervisord.conf", stack.programs)
    except (CannotStartError, MissingProgramsError, SettingsError, WrongEngineError) as error:
        raise SystemExit(f"error: {error}") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"error: {error.cmd[0]} failed with {error.returncode}; it says why above") from None
    except PermissionError as error:
        raise SystemExit(
            f"error: this user may not write {error.filename}: run this as the user who made it, or set "
            "PINACLE_FOLDER to a folder of your own"
        ) from None
    except OSError as error:
        raise SystemExit(f"error: {error.strerror}: {error.filename or ''}".rstrip(": ")) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; nothing runs") from None
    show(stack.programs)
    pass_on_output(next_lines(folder, stack.environment, flower=stack.flower, image=_IMAGE))
    supervisord = Path(sys.executable).with_name("supervisord")
    os.chdir(ROOT)
    os.execve(  # noqa: S606 - becomes the supervisor, which then gets the signals
        sys.executable,
        [sys.executable, str(supervisord), "-c", str(config)],
        inherited(**stack.environment, PINACLE_FOLDER=str(folder)),
    )


def plan_stack(folder: Path) -> Stack:
    """Return what has to run.

    Raises CannotStartError if something is in the way, MissingProgramsError if there can be no Engine,
    WrongEngineError if the pods are on another one, and SettingsError.
    """
    given, stack = settings(), Stack()
    if "redis_url" not in given.model_fields_set:
        _add_redis(stack, folder)
    # Before the Engine, for which something is made.
    port = stack_settings().flower_port or _free_port(_FLOWER_PORT)
    _refuse_taken(port, "Flower: set FLOWER_PORT to another one")
    _add_engine(stack, folder, given)
    stack.flower = f"http://127.0.0.1:{port}"
    # A task's arguments say which pod it is about, and Flower does not show them by default.
    stack.environment["FLOWER_TASKS_COLUMNS"] = "name,args,state,received,runtime,worker"
    if not stack_settings().flower_basic_auth:
        stack.environment["FLOWER_BASIC_AUTH"] = flower_password(folder)
    if "log_format" not in given.model_fields_set and sys.stdout.isatty():
        # supervisord stands between them and the terminal.
        stack.environment["PINACLE_LOG_FORMAT"] = "console"
    stack.programs += _celery(folder, given, port)
    return stack


def _refuse_second(folder: Path) -> None:
    """Raise CannotStartError if this installation is running."""
    try:
        process = psutil.Process(int((folder / "supervisord.pid").read_text()))
        runs = any("supervisord" in word for word in process.cmdline())
    except (OSError, ValueError, psutil.Error):
        return
    if runs:
        raise CannotStartError(
            f"it runs already, as process {process.pid}; that is ended by: kill {process.pid}"
        )


def _add_redis(stack: Stack, folder: Path) -> None:
    """Add the embedded Redis, at the port that it had before."""
    noted = folder / "redis-url"
    if noted.exists() and (text := noted.read_text()):
        port = urlsplit(text).port or _REDIS_PORT
    else:
        port = _free_port(_REDIS_PORT)
    _refuse_taken(port, "the embedded Redis: set PINACLE_REDIS_URL to use the one that is there")
    url = redis_url(folder, port)
    # Its password is in the URL: another one beside it would be refused.
    stack.environment |= {"PINACLE_REDIS_URL": url, "PINACLE_REDIS_PASSWORD": ""}
    stack.programs.append(_redis(folder / "redis", url, port))


def _add_engine(stack: Stack, folder: Path, given: Settings) -> None:
    """Add a private Engine, if the pods are on it or no other one answers; and remember which one it is."""
    engine = PrivateEngine(folder / "engine", port_proxy=folder / "port-proxy")
    note = folder / "engine-address"
    named = given.docker_host if "docker_host" in given.model_fields_set else None
    address = choose_engine(
        note, given=named, usual=given.docker_host, private=engine.url, answers=_has_engine
    )
    if address != given.docker_host:
        stack.environment["DOCKER_HOST"] = address
    if address == engine.url:
        if os.geteuid() != 0:
            raise CannotStartError(
                f"no Engine answers at {given.docker_host} for this user, and a private one needs root: "
                "start Docker, join the group docker (and log in again), or run this as root"
            )
        require(*ENGINE, wanted=(*FILTER, *OUTGOING))
        # This process becomes supervisord, so it lives as long as the Engine.
        write_port_proxy(folder / "port-proxy", os.getpid())
        engine.prepare()
        stack.programs += _private_engine(folder, engine)
    note_engine(note, address, private=engine.url)


def _private_engine(folder: Path, engine: PrivateEngine) -> list[Program]:
    found = [
        Program(
            name="engine", command=engine.command(), priority=10, stop_s=60, shown=engine.url, log=engine.log
        )
    ]
    if find(OUTGOING[0]) is not None:
        command = outgoing_command(engine.namespace)
        log = folder / "network.log"
        found.append(Program(name="network", command=command, priority=5, shown="of the Engine", log=log))
    return found


def _has_engine(docker_host: str) -> bool:
    """Whether an Engine answers there; true without a check if it is not on a unix socket."""
    return not docker_host.startswith("unix://") or answers(Path(docker_host.removeprefix("unix://")))


def _free_port(first: int) -> int:
    """Return the first port, from `first` on, on which nobody listens; `first` if none of many is free."""
    ports = (port for port in count(first) if not is_listening(port))
    found = next(ports)
    return found if found < first + _TRIED else first


def _refuse_taken(port: int, what: str) -> None:
    if is_listening(port):
        raise CannotStartError(f"port {port} of 127.0.0.1 is taken, and needed for {what}")


def _redis(folder: Path, url: str, port: int) -> Program:
    """Return the embedded Redis. Its password is in a file, as every user can read arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "redis.conf"
    write_private(config, f"requirepass {urlsplit(url).password}\n")
    command = server_command(folder, port, config=config)
    return Program(
        name="redis", command=command, priority=10, shown=f"127.0.0.1:{port}", log=folder / "redis.log"
    )


def _celery(folder: Path, settings: Settings, port: int) -> list[Program]:
    python = [sys.executable, "-m"]
    beat = ["worker.beat", "--schedule", str(folder / "beat")]
    page = f"http://127.0.0.1:{port}"
    flower = ["celery", "-A", "worker.flower:app", "flower", "--address=127.0.0.1", f"--port={port}"]
    grace = int(settings.task_wait_s + settings.step_deadline_s + 10)
    return [
        Program(name="worker", command=[*python, "worker"], priority=20, stop_s=grace, shown="tasks"),
        Program(name="beat", command=[*python, *beat], priority=30, shown="schedules passes"),
        Program(name="flower", command=[*python, *flower], priority=30, shown=page),
    ]


if __name__ == "__main__":
    main()
