"""What `make up` says: what it runs, and what to do next."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from worker.local.up.programs import Program

_PROJECT: Final = Path(__file__).parents[3]
_PROJECT_COMMAND: Final = ".venv/bin/pinacle"


def show(programs: Sequence[Program]) -> None:
    """Show what is about to run."""
    table = Table(title="pinacle pod worker", title_justify="left")
    table.add_column("program")
    table.add_column("what", overflow="fold")
    for program in programs:
        table.add_row(program.name, program.shown)
    console = Console(stderr=True)
    console.print(table)
    console.print("Ctrl-C or SIGTERM ends it all; pods go on when it is started again.")


def next_lines(folder: Path, environment: Mapping[str, str], *, flower: str, image: str) -> str:
    """Return what to paste into another terminal, and where Flower's page is."""
    exports = []
    if "PINACLE_REDIS_URL" in environment:
        exports.append(f'export PINACLE_REDIS_URL="$(cat {shlex.quote(str(folder / "redis-url"))})"')
    if "DOCKER_HOST" in environment:
        exports.append(f"export DOCKER_HOST={shlex.quote(environment['DOCKER_HOST'])}")
    lines = [
        f"cd {shlex.quote(str(_PROJECT))}",
        *exports,
        f"{_PROJECT_COMMAND} pods create abc --image {image}",
        f"{_PROJECT_COMMAND} pods shell abc",
    ]
    page = f"Flower shows tasks at {flower}"
    if "FLOWER_BASIC_AUTH" in environment:
        page += f"; user and password: cat {shlex.quote(str(folder / 'flower-auth'))}"
    return "\n".join(
        ["", "It runs. In another terminal:", "", *(f"  {line}" for line in lines), "", page, "", ""]
    )
