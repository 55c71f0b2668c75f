"""What supervisord keeps: programs, and the files that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process that supervisord keeps; lower priorities start first and end last."""

    name: str
    command: list[str]
    priority: int
    stop_s: int = 30
    shown: str = ""
    log: Path | None = None
    """The file for its output; None for the terminal."""


def write_programs(path: Path, common: Path, programs: Sequence[Program]) -> None:
    """Write supervisord's configuration: what is `common` to all installations, and these programs.

    It is one file, because in the path of an included one supervisord takes a space for its end.
    """
    sections = [common.read_text(encoding="utf-8"), *map(_section, programs)]
    path.write_text("\n".join(sections), encoding="utf-8")


def _section(program: Program) -> str:
    lines = [
        f"[program:{program.name}]",
        f"command={' '.join(map(_quoted, program.command))}",
        f"priority={program.priority}",
        f"stopwaitsecs={program.stop_s}",
        "autorestart=true",
        "startsecs=1",
        "startretries=1000000",
        "redirect_stderr=true",
        f"stdout_logfile={_escaped(str(program.log or '/dev/fd/1'))}",
        f"stdout_logfile_maxbytes={'10MB' if program.log else '0'}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    escaped = _escaped(word).replace('"', '\\"')
    return f'"{escaped}"'


def _escaped(word: str) -> str:
    """Return a word escaped for supervisord, for which a percent sign begins a variable."""
    return word.replace("%", "%%")
