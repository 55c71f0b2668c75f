"""`--dry-run`: what a change would do, as the worker tells it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.asking.calls import Call, call, call_each
from worker.cli.changing import Change
from worker.cli.exits import EndingError, Exit, OtherVersionError
from worker.cli.screen import plain, say, show

Answer = Mapping[str, Any]
_UNCHANGED: Final = "nothing was changed: this was a dry run"


def preview(pod_ids: Sequence[str], wanted: Change, *, named: bool) -> None:
    """Show what the change would do to each pod. Nothing is done, and an older worker refuses to.

    A single pod that was `named` is answered by itself, others in a list, as the change itself answers.
    """
    calls = [
        # No id: nothing is accepted, so there is nothing to be accepted only once.
        replace(each, kwargs={**(each.kwargs or {}), "dry_run": True}, pod_id=None, task_id=None)
        for each in map(wanted.to, pod_ids)
    ]
    if named and len(calls) == 1:
        answer = _one(calls[0])
        show(answer, as_json=wanted.as_json, table=lambda _: way(answer))
        say(_UNCHANGED)
        return
    answers = call_each(calls) if calls else []
    told = [each for each in answers if not isinstance(each, EndingError)]
    refused = {
        pod_id: _clearer(each)
        for pod_id, each in zip(pod_ids, answers, strict=True)
        if isinstance(each, EndingError)
    }
    errors = [{"pod_id": pod_id, "error": each.shown()} for pod_id, each in refused.items()]
    if told or wanted.as_json:
        show([*told, *errors], as_json=wanted.as_json, table=lambda _: Group(*map(way, told)))
    if not pod_ids:
        say("there is no such pod")
    for pod_id, each in refused.items():
        say(f"{pod_id}: {each}", style="red")
    if told:
        say(_UNCHANGED)
    if refused:
        raise typer.Exit(Exit.FAILED)


def _one(wanted: Call) -> Any:
    try:
        return call(wanted)
    except OtherVersionError as error:
        raise _clearer(error) from error


def _clearer(error: EndingError) -> EndingError:
    """Return what to say: an older worker speaks of its arguments, which nobody here has typed."""
    if not isinstance(error, OtherVersionError):
        return error
    return EndingError(
        Exit.FAILED, "the worker is older than this command and knows no dry run; nothing was changed"
    )


def way(answer: Answer) -> RenderableType:
    """Return what a change would do: what differs in the spec, then the steps."""
    return Group(*_parts(answer))


def _parts(answer: Answer) -> Iterator[RenderableType]:
    yield Text.assemble(("pod ", "dim"), (plain(answer["pod_id"]), "bold"), f": {_effect(answer)}")
    if answer["changes"]:
        yield Text()
        yield _differences(answer["changes"])
    if answer["steps"]:
        yield Text()
        yield _steps(answer)
    if answer["reason"]:
        yield Text(plain(answer["reason"]), style="yellow")
    if answer["steps_at_start"]:
        yield Text(plain(f"at its next start: {', '.join(answer['steps_at_start'])}"))


def _effect(answer: Answer) -> str:
    """Return the one line that matters most."""
    if answer["removes"]:
        return f"its container and {len(answer['removes'])} volumes with all data would be removed, for good"
    if not answer["existed"]:
        return "there is no such pod"
    if answer["replaces_container"]:
        return "its container would be replaced" + (
            ", and what runs in it ended" if answer["interrupts"] else ""
        )
    if answer["interrupts"]:
        return "what runs in it would be ended"
    if answer["steps"]:
        return "it would change while it goes on running" if answer["complete"] else "not all can be told"
    return "nothing is to be done" if answer["complete"] else "not all can be told"


def _differences(changes: Sequence[Answer]) -> Table:
    table = Table("key", "now", "then", box=None, pad_edge=False, header_style="dim")
    for each in changes:
        table.add_row(*(Text(plain(_value(each[key]))) for key in ("key", "before", "after")))
    return table


def _steps(answer: Answer) -> Table:
    table = Table("", "step", "what it does", box=None, pad_edge=False, header_style="dim")
    for number, (name, text) in enumerate(zip(answer["steps"], answer["explained"], strict=True), 1):
        table.add_row(str(number), plain(name), Text(plain(text)))
    return table


def _value(value: Any) -> str:
    if value is None:
        return "-"
    return (
        " ".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else str(value)
    )
