"""`pinacle pods stats` and `pinacle top`: what pods use."""

import sys
from collections.abc import Mapping, Sequence
from time import sleep
from typing import Annotated, Any, Final

import typer

from worker.cli.asking.calls import Call, call_each
from worker.cli.exits import EndingError, Exit
from worker.cli.inside.usage_tables import cores, stats_table, top_table
from worker.cli.options import AsJson, PodIds, Timeout
from worker.cli.records import opened
from worker.cli.screen import results, say, show

_TASK: Final = "pods.stats"
_FIELDS: Final = ["phase", "host", "restarts", "last_error"]
_BETWEEN_S: Final = 1.0
"""Seconds between the two readings of which a single table is made."""
_AROUND: Final = 3
"""Lines of the terminal that are not pods."""


def stats(pod_ids: PodIds = None, *, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Show what pods use; without IDs all running ones of all hosts."""
    if pod_ids:
        wanted = [Call(name=_TASK, args=(each,), timeout_s=timeout) for each in dict.fromkeys(pod_ids)]
    else:
        wanted = _of_all_hosts(timeout)
    answers, refused = _asked(wanted)
    answer = _merged(answers)
    show(answer, as_json=as_json, table=lambda console: stats_table(answer, console))
    for error in refused:
        say(str(error), style="red")
    if refused:
        raise typer.Exit(refused[0].code)


def top(
    *,
    every: Annotated[
        float, typer.Option("--every", min=1.0, metavar="SECONDS", help="How often it looks again.")
    ] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Show all pods and what they use, again and again; without a terminal, or with --json, once."""
    try:
        if as_json or not sys.stdout.isatty():
            first = _look({})
            sleep(_BETWEEN_S)
            shown = _look(first)
            show(shown, as_json=as_json, table=lambda console: top_table(shown, console, most=None))
        else:
            _go_on(every)
    except KeyboardInterrupt:
        raise EndingError(Exit.INTERRUPTED, "it has ended, and changed nothing") from None
    except EndingError as error:
        if error.code is not Exit.INTERRUPTED:
            raise
        raise EndingError(Exit.INTERRUPTED, "it has ended, and changed nothing") from None


def _go_on(every_s: float) -> None:
    # It takes long to load, and no other command needs it.
    from rich.live import Live  # noqa: PLC0415

    console = results()
    seen = _look({})
    with Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(top_table(seen, console, most=max(1, console.height - _AROUND)), refresh=True)
            sleep(every_s)
            seen = _look(seen)


def _look(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return all pods, with what those that run use: also in processors, since the look `before`."""
    listed = Call(name="pods.list", kwargs={"fields": _FIELDS})
    answers, refused = _asked([listed, *_of_all_hosts(None)])
    if refused:
        raise refused[0]
    used = _merged(answers[1:])
    now = {each["pod_id"]: each for each in used["pods"]}
    then = {each["pod_id"]: each["usage"] for each in before.get("pods", ())}
    pods = [
        pod
        | {
            "usage": now.get(pod["pod_id"]),
            "cpus": cores(then.get(pod["pod_id"]), now.get(pod["pod_id"])),
        }
        for pod in answers[0]["pods"]
    ]
    return {"pods": pods, "unmeasured": used["unmeasured"]}


def _of_all_hosts(timeout_s: float | None) -> list[Call]:
    from config.settings import settings  # noqa: PLC0415 - as in worker.cli.__init__

    with opened() as records:
        ages = records.ask(lambda store: store.overview.heartbeat_ages())
    live = sorted(host for host, age in ages.items() if age <= settings().heartbeat_ttl_s)
    if not live:
        raise EndingError(
            Exit.NOBODY, "no worker has a heartbeat, so nobody can measure; `pinacle doctor` looks into it"
        )
    return [Call(name=_TASK, kwargs={"host": host}, timeout_s=timeout_s) for host in live]


def _asked(wanted: Sequence[Call]) -> tuple[list[Any], list[EndingError]]:
    """Return the answers, and why there are no others: what could be measured is shown all the same."""
    answers = call_each(wanted, quiet=True)
    errors = [each for each in answers if isinstance(each, EndingError)]
    return [each for each in answers if not isinstance(each, EndingError)], errors


def _merged(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "pods": [{"host": answer["host"], **pod} for answer in answers for pod in answer["pods"]],
        "unmeasured": [each for answer in answers for each in answer["unmeasured"]],
    }
