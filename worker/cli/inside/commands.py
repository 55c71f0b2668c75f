"""`pinacle pods logs`, `exec`, `shell` and `cp`."""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from worker.cli.asking.calls import Call, call
from worker.cli.exits import EndingError, Exit
from worker.cli.options import AsJson, PodId, TaskId, Timeout
from worker.cli.screen import say, write_json

_SHELL: Final = ("sh", "-c", "command -v bash >/dev/null && exec bash -l || exec sh -l")
_T = TypeVar("_T")
_KEPT: Final = "\n\t"
_Command = Annotated[
    list[str] | None, typer.Argument(metavar="[COMMAND]...", help="A program and its arguments.")
]
_User = Annotated[
    str | None, typer.Option("--user", "-u", help="Runs it as this user; by default as the pod's own.")
]
_ANY_WORDS: Final = {"ignore_unknown_options": True, "allow_interspersed_args": False}
"""What follows a pod's id is the command's, dashes or not."""


def logs(
    pod_id: PodId,
    *,
    tail: Annotated[int, typer.Option("--tail", help="How many lines from the end.")] = 100,
    since: Annotated[
        str | None, typer.Option("--since", help="Only what came after, as 2026-11-27T10:00:00Z.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Goes on with what it prints; needs the Engine.")
    ] = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> None:
    """Show what a pod printed, values of its env masked."""
    if follow:
        _done(_follow(pod_id, tail))
        return
    answer = call(
        Call(name="pods.logs", args=(pod_id,), kwargs={"tail": tail, "since": since}, timeout_s=timeout)
    )
    if as_json:
        write_json(answer)
        return
    if answer["truncated"]:
        say("only the end of it is shown: there was more")
    _write(answer["output"])


def execute(
    pod_id: PodId,
    command: _Command = None,
    *,
    user: _User = None,
    within: Annotated[
        float, typer.Option("--within", metavar="SECONDS", help="How long it is waited for.")
    ] = 20,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Run a command in a pod and end with its exit code. For long ones and for input: `pods shell`."""
    given: dict[str, Any] = {"user": user, "timeout_s": within}
    answer = call(
        Call(
            name="pods.exec",
            args=(pod_id, _words(command)),
            kwargs=given,
            task_id=task_id,
            timeout_s=timeout,
        )
    )
    if as_json:
        write_json(answer)
    else:
        _write(answer["stdout"])
        _write(answer["stderr"], to_error=True)
        if answer["truncated"]:
            say("only the beginning of it is shown: there was more")
    if answer["timed_out"]:
        raise EndingError(Exit.UNFINISHED, f"it takes longer than {within:g} s, and goes on in the pod")
    raise typer.Exit(answer["exit_code"] or Exit.DONE)


def shell(pod_id: PodId, command: _Command = None, *, user: _User = None) -> None:
    """Open a shell in a pod, or run a command with input and no time limit; needs the Engine."""
    code = _done(_shell(pod_id, _words(command) or _SHELL, user))
    raise typer.Exit(code)


def cp(
    source: Annotated[str, typer.Argument(help="A path of this machine, or ID:PATH of a pod.")],
    target: Annotated[str, typer.Argument(help="The other one of the two.")],
) -> None:
    """Copy a file or a directory into a pod or out of it; needs the Engine."""
    say(_done(_cp(source, target)))


def _words(command: list[str] | None) -> list[str]:
    """Return a command without the dashes that may precede it."""
    words = command or []
    return words[1:] if words[:1] == ["--"] else words


def add_to(app: typer.Typer) -> None:
    """Add these to the commands about pods."""
    app.command()(logs)
    app.command("exec", context_settings=_ANY_WORDS)(execute)
    app.command(context_settings=_ANY_WORDS)(shell)
    app.command()(cp)


def _done(work: Coroutine[Any, Any, _T]) -> _T:
    import asyncio  # noqa: PLC0415 - as in worker.cli.__init__

    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise EndingError(Exit.INTERRUPTED, "interrupted; the pod goes on") from None


async def _follow(pod_id: str, tail: int) -> None:
    # Imported here, because the Engine's client takes long to load.
    from worker.cli.inside.reaching import reached  # noqa: PLC0415

    async with (
        reached(pod_id) as there,
        there.engine.streams.followed(there.container_id, tail=tail) as found,
    ):
        async for piece in found:
            _write(piece.content.decode(errors="replace"))


async def _shell(pod_id: str, command: Any, user: str | None) -> int:
    from worker.cli.inside.reaching import reached  # noqa: PLC0415 - as above
    from worker.cli.inside.terminal import is_terminal, joined  # noqa: PLC0415

    on_terminal = is_terminal()
    from config.settings import terminal_kind  # noqa: PLC0415 - as in worker.cli.__init__

    kind = terminal_kind() if on_terminal else None
    async with (
        reached(pod_id) as there,
        there.engine.streams.session(there.container_id, command, user=user, terminal=kind) as session,
    ):
        return await joined(session, on_terminal=on_terminal)


async def _cp(source: str, target: str) -> str:
    from worker.cli.inside.copying import Place, fetch, place, send  # noqa: PLC0415 - as above
    from worker.cli.inside.reaching import reached  # noqa: PLC0415

    match place(source), place(target):
        case Place() as there, None:
            async with reached(there.pod_id) as pod:
                return f"copied to {await fetch(pod, there.path, Path(target))}"
        case None, Place() as there:
            async with reached(there.pod_id) as pod:
                return f"copied to {there.pod_id}:{await send(pod, Path(source), there.path)}"
        case _:
            raise EndingError(
                Exit.USAGE, "one of the two has to be in a pod, as in: pinacle pods cp abc:/etc/hosts ."
            )


def _write(text: str, *, to_error: bool = False) -> None:
    """Write what a pod printed; on a terminal, without control characters."""
    stream = sys.stderr if to_error else sys.stdout
    if stream.isatty():
        text = "".join(letter for letter in text if letter.isprintable() or letter in _KEPT)
    stream.write(text)
    stream.flush()
