"""Writes results to standard output, and everything else, questions too, to standard error."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.exits import EndingError, Exit

_WIDE: Final = 200
"""Columns if there is neither a terminal nor COLUMNS: lines stay whole, so that they can be searched."""
_BAR: Final = 20
"""Columns of a progress bar."""
NARROW: Final = 80
"""With fewer columns, a table leaves out what is needed least."""


class Bar(NamedTuple):
    """How far something has come."""

    done: int
    total: int
    text: str


def plain(text: object) -> str:
    """Return a text on one line, without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))


def results() -> Console:
    """Return standard output, for tables."""
    # Texts come from elsewhere, so nothing in them is taken for markup.
    return Console(width=_width(sys.stdout.isatty()), markup=False, highlight=False, emoji=False)


def messages() -> Console:
    """Return standard error."""
    return Console(stderr=True, width=_width(sys.stderr.isatty()), markup=False, highlight=False, emoji=False)


def say(text: object, style: str = "") -> None:
    """Write one message to standard error; only the terminal breaks it into lines."""
    messages().print(Text(plain(text), style=style), soft_wrap=True)


def show(answer: Any, *, as_json: bool, table: Callable[[Console], RenderableType]) -> None:
    """Write the result: the worker's own answer as JSON, or `table` for people."""
    if as_json:
        write_json(answer)
        return
    console = results()
    with console.capture() as drawn:
        console.print(table(console))
    # A table pads its lines, which disturbs when they are copied or compared.
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()), flush=True)  # noqa: T201 - as below


def write_json(answer: Any, *, indent: int | None = 2) -> None:
    """Write one JSON document; if `indent` is None, on one line, and flush it."""
    print(json.dumps(answer, indent=indent), flush=True)  # noqa: T201 - this is what the program is for


def confirm(question: str, *, yes: bool) -> None:
    """Return if the answer is yes. Raises EndingError if it is no, and if there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise EndingError(
            Exit.USAGE, "there is no terminal to ask on, so nothing was sent: add --yes to confirm"
        )
    if not typer.confirm(question, err=True):
        raise EndingError(Exit.FAILED, "you said no, so nothing was sent")


class Shown(Protocol):
    """Replaces what is shown of something under way."""

    def __call__(self, text: str, bar: Bar | None = None) -> None: ...


@contextmanager
def live(text: str) -> Iterator[Shown]:
    """Show that something is under way, on a terminal only. Call what is yielded to replace it."""
    console = messages()
    if not console.is_terminal:
        yield _show_nothing
        return
    with console.status(_line(text)) as status:
        yield lambda text, bar=None: status.update(_line(text) if bar is None else _with_bar(text, bar))


def _show_nothing(text: str, bar: Bar | None = None) -> None:
    pass


def _line(text: str) -> Text:
    return Text(plain(text), no_wrap=True, overflow="ellipsis")


def _with_bar(text: str, bar: Bar) -> RenderableType:
    """Return the text, and the bar below it, as on a narrow terminal both do not fit in one line."""
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as in worker.cli.__init__

    grid = Table.grid(padding=(0, 1))
    # Without a total it would look complete.
    grid.add_row(ProgressBar(total=max(1, bar.total), completed=bar.done, width=_BAR), _line(bar.text))
    return Group(_line(text), grid)


def _width(terminal: bool) -> int | None:  # noqa: FBT001 - private
    return None if terminal else shutil.get_terminal_size((_WIDE, 24)).columns
