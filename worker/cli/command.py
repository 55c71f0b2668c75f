"""The command `pinacle` as a whole: its parts, and how it reports errors."""

import sys
from traceback import extract_tb
from typing import Annotated, Any, Final

import typer

from worker.cli import hosts, pods
from worker.cli.exits import EndingError, Exit
from worker.cli.inside import usage
from worker.cli.options import AsJson
from worker.cli.screen import say, write_json
from worker.errors import ErrorKind, described

_NAME: Final = "pinacle"
_PACKAGE: Final = "pinacle-pod-worker"
_MARK: Final = "error: "
_UNSENT: Final = "interrupted: nothing was sent"

# Plain, so that it can be read on a narrow terminal and without one.
app: Final = typer.Typer(
    help="The operator's side of pods: personal VMs that are Docker containers.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(pods.app, name="pods")
app.add_typer(hosts.app, name="hosts")
app.command()(pods.reconcile)
app.command()(usage.top)


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer's form
    if asked:
        from importlib import metadata  # noqa: PLC0415 - 50 ms, for this option alone

        typer.echo(f"{_NAME} {metadata.version(_PACKAGE)}")
        raise typer.Exit


@app.callback()
def _command(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    from config.settings import settings  # noqa: PLC0415 - as in worker.cli.__init__

    # Before any question is asked, wrong settings are.
    settings()


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Look at everything that pods need, change nothing, and say what to do."""
    # Loading the Engine's client takes longer than anything else, and no other command needs it.
    from config.logging import configure_logging  # noqa: PLC0415
    from worker.cli.doctor.examination import examine  # noqa: PLC0415

    configure_logging(level="off")
    if not examine(as_json=as_json):
        raise typer.Exit(Exit.FAILED)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code. It never shows a traceback, which could contain anything."""
    try:
        code: Any = app(args=arguments, prog_name=_NAME, standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the last resort of a program for people
        ended = _ended(error)
        if _as_json(arguments):
            write_json({"error": ended.shown()})
        return _end(ended.code, str(ended))
    if code == Exit.INTERRUPTED:
        return _end(Exit.INTERRUPTED, _UNSENT)
    return int(code or Exit.DONE)


def _ended(error: Exception) -> EndingError:
    """Return how the command ends because of an error."""
    from config.settings import SettingsError  # noqa: PLC0415 - as in worker.cli.__init__

    match error:
        case EndingError():
            return error
        case SettingsError():
            return EndingError(Exit.USAGE, str(error))
        case typer.Abort():
            return EndingError(Exit.INTERRUPTED, _UNSENT)
        case typer.TyperException():
            return EndingError(Exit.USAGE, _usage(error))
        case _:
            return EndingError(
                Exit.FAILED, _unexpected(error), described(ErrorKind.INTERNAL, _unexpected(error))
            )


def _as_json(arguments: list[str] | None) -> bool:
    """Whether a program reads the answer. The command may be wrong, so this cannot ask it."""
    words = sys.argv[1:] if arguments is None else arguments
    return "--json" in words[: words.index("--")] if "--" in words else "--json" in words


def _end(code: Exit, text: str) -> int:
    failed = code not in {Exit.UNFINISHED, Exit.INTERRUPTED}
    say(f"{_MARK if failed else ''}{text}", style="red" if failed else "")
    return code


def _usage(error: typer.TyperException) -> str:
    """Return what was wrong with the command, without any extra word: that may be part of a value."""
    text = error.format_message().rstrip(".").replace("Value error, ", "")
    if "unexpected extra argument" in text:
        text = "there are too many words; a value with spaces needs quotes"
    context: Any = getattr(error, "ctx", None)
    end = "" if text.endswith("?") else "."
    return f"{text}{end} See: {context.command_path if context else _NAME} --help"


def _unexpected(error: Exception) -> str:
    frame = extract_tb(error.__traceback__)[-1]
    return (
        f"this should not happen: {type(error).__name__} at {frame.filename}:{frame.lineno}. "
        "`pinacle doctor` may know why"
    )
