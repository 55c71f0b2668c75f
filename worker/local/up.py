"""`make up`: the whole stack in the foreground, kept by supervisord until it is told to end."""

import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from config.settings import Settings, SettingsError, settings, stack_settings
from worker.local.engine_choice import WrongEngineError, choose_engine, note_engine
from worker.local.packages import ENGINE, FILTER, MissingProgramsError, require
from worker.local.private_engine import PrivateEngine, answers
from worker.local.processes import inherited
from worker.local.redis import is_listening, server_command

ROOT: Final = Path(__file__).parents[2]
REDIS_PORT: Final = 6399
FLOWER_PORT: Final = 5555


class CannotStartError(Exception):
    """Something is in the way that a person has to clear."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process that supervisord keeps; lower priorities start first and end last."""

    name: str
    command: list[str]
    priority: int
    stop_s: int = 30
    shown: str = ""
    log: Path | None = None
    """Where its output goes; None for the terminal."""


def main() -> None:
    """Decide what is needed, show it, and become supervisord."""
    folder = stack_settings().folder or ROOT / ".pinacle"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    try:
        programs, environment = plan_stack(folder)
    except (CannotStartError, MissingProgramsError, SettingsError, WrongEngineError) as error:
        raise SystemExit(f"error: {error}") from None
    _write(folder / "programs", programs)
    _show(programs, environment, folder)
    supervisord = Path(sys.executable).with_name("supervisord")
    os.chdir(ROOT)
    os.execve(  # noqa: S606 - becomes the supervisor, which then gets the signals
        supervisord,
        [str(supervisord), "-c", str(ROOT / "config" / "supervisord.conf")],
        inherited(**environment, PINACLE_FOLDER=str(folder)),
    )


def plan_stack(folder: Path) -> tuple[list[Program], dict[str, str]]:
    """Return what has to run, and the settings it shares.

    Raises CannotStartError for a port that is taken, MissingProgramsError where an Engine cannot be had,
    WrongEngineError where the pods are on another one, and SettingsError.
    """
    given = settings()
    environment: dict[str, str] = {}
    programs: list[Program] = []
    if "redis_url" not in given.model_fields_set:
        _refuse_taken(REDIS_PORT, "the embedded Redis; set PINACLE_REDIS_URL to use the one that is there")
        environment["PINACLE_REDIS_URL"] = _redis_url(folder)
        # It is in the URL: another one beside it would be refused.
        environment["PINACLE_REDIS_PASSWORD"] = ""
        programs.append(_redis(folder / "redis", environment["PINACLE_REDIS_URL"]))
    engine = PrivateEngine(folder / "engine")
    note = folder / "engine-address"
    named = given.docker_host if "docker_host" in given.model_fields_set else None
    address = choose_engine(
        note, given=named, usual=given.docker_host, private=engine.url, answers=_has_engine
    )
    if address != given.docker_host:
        environment["DOCKER_HOST"] = address
    if address == engine.url:
        require(*ENGINE, wanted=FILTER)
        engine.prepare()
        command = engine.command()
        programs.append(
            Program(name="engine", command=command, priority=10, stop_s=60, shown=engine.url, log=engine.log)
        )
    _refuse_taken(FLOWER_PORT, "Flower")
    note_engine(note, address, private=engine.url)
    # Which pod a task is about stands in its arguments, which Flower does not show by itself.
    environment["FLOWER_TASKS_COLUMNS"] = "name,args,state,received,runtime,worker"
    if not stack_settings().flower_basic_auth:
        environment["FLOWER_BASIC_AUTH"] = _password(folder)
    return programs + _celery(folder, given), environment


def _has_engine(docker_host: str) -> bool:
    """Whether an Engine answers there; one that is not on a unix socket is taken at its word."""
    return not docker_host.startswith("unix://") or answers(Path(docker_host.removeprefix("unix://")))


def _refuse_taken(port: int, what: str) -> None:
    if is_listening(port):
        raise CannotStartError(f"port {port} of 127.0.0.1 is taken, and needed for {what}")


def _redis(folder: Path, url: str) -> Program:
    """Return the embedded Redis, whose password stands in a file: everybody may read arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = f"127.0.0.1:{REDIS_PORT}"
    config = folder / "redis.conf"
    write_private(config, f"requirepass {urlsplit(url).password}\n")
    command = server_command(folder, REDIS_PORT, config=config)
    return Program(name="redis", command=command, priority=10, shown=shown, log=folder / "redis.log")


def _celery(folder: Path, settings: Settings) -> list[Program]:
    python = [sys.executable, "-m"]
    beat = ["worker.beat", "--schedule", str(folder / "beat")]
    page = f"http://127.0.0.1:{FLOWER_PORT}"
    flower = ["celery", "-A", "worker.flower:app", "flower", "--address=127.0.0.1", f"--port={FLOWER_PORT}"]
    grace = int(settings.task_wait_s + settings.step_deadline_s + 10)
    return [
        Program(name="worker", command=[*python, "worker"], priority=20, stop_s=grace, shown="tasks"),
        Program(name="beat", command=[*python, *beat], priority=30, shown="schedules passes"),
        Program(name="flower", command=[*python, *flower], priority=30, shown=page),
    ]


def _password(folder: Path) -> str:
    """Return Flower's user and password, made once and kept for the owner of the folder only."""
    return _kept(folder / "flower-auth", f"pinacle:{secrets.token_urlsafe(18)}")


def _redis_url(folder: Path) -> str:
    """Return the embedded Redis' address with its password, made and kept likewise."""
    return _kept(folder / "redis-url", f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{REDIS_PORT}/0")


def _kept(path: Path, new: str) -> str:
    """Return what a file holds, which gets `new` where there is nothing yet."""
    if path.exists() and (text := path.read_text()):
        path.chmod(0o600)
        return text
    write_private(path, new)
    return new


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment with another mode or a part of the text."""
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(made, "w") as file:
        file.write(text)
    Path(name).replace(path)


def _write(folder: Path, programs: list[Program]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.conf"):
        old.unlink()
    for program in programs:
        words = " ".join(_quoted(word) for word in program.command)
        lines = [
            f"[program:{program.name}]",
            f"command={words}",
            f"priority={program.priority}",
            f"stopwaitsecs={program.stop_s}",
            "autorestart=true",
            "startsecs=1",
            "startretries=1000000",
            "redirect_stderr=true",
            f"stdout_logfile={program.log or '/dev/fd/1'}",
            f"stdout_logfile_maxbytes={'10MB' if program.log else '0'}",
        ]
        (folder / f"{program.name}.conf").write_text("\n".join(lines) + "\n")


def _quoted(word: str) -> str:
    """Quote one word for supervisord, to which a percent sign means a variable."""
    escaped = word.replace("%", "%%").replace('"', '\\"')
    return f'"{escaped}"'


def _show(programs: list[Program], environment: Mapping[str, str], folder: Path) -> None:
    table = Table(title="pinacle pod worker", title_justify="left")
    table.add_column("program")
    table.add_column("what", overflow="fold")
    for program in programs:
        table.add_row(program.name, program.shown)
    console = Console(stderr=True)
    console.print(table)
    if "PINACLE_REDIS_URL" in environment:
        console.print(f"PINACLE_REDIS_URL, with its password, is in {folder / 'redis-url'}", soft_wrap=True)
    if "DOCKER_HOST" in environment:
        console.print(f"DOCKER_HOST={environment['DOCKER_HOST']}", soft_wrap=True)
    if "FLOWER_BASIC_AUTH" in environment:
        console.print(f"Flower's user:password is in {folder / 'flower-auth'}", soft_wrap=True)
    console.print("Ctrl-C or SIGTERM ends it all; pods go on when it is started again.")


if __name__ == "__main__":
    main()
