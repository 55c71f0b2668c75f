"""Sends tasks that set the intents of pods, of one or of several, and shows what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import typer
from rich.console import Group

from config.phases import IntentKind, Phase
from worker.cli import tables
from worker.cli.asking.calls import Call, call, call_each
from worker.cli.exits import EndingError, Exit
from worker.cli.screen import say, show
from worker.cli.specs import wanted_labels

_ON_ITS_WAY: Final = (Phase.PENDING, Phase.DELETING)
_IN_TROUBLE: Final = (Phase.BACKOFF, Phase.STORAGE_MISSING, Phase.FAILED)
_PAGE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is asked of a pod, and how its answer is shown."""

    verb: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    as_json: bool
    timeout_s: float | None
    task_id: str | None = None

    def to(self, pod_id: str) -> Call:
        return Call(
            name=f"pods.{self.verb}",
            args=(pod_id, *self.args),
            kwargs=self.kwargs,
            pod_id=pod_id,
            task_id=self.task_id,
            timeout_s=self.timeout_s,
        )


def chosen(ids: Sequence[str] | None, labels: Sequence[str] | None, *, every: bool) -> list[str]:
    """Return the pods that are named, or that have the labels, or all. Raises typer.BadParameter."""
    if bool(ids) + bool(labels) + every != 1:
        raise typer.BadParameter("say which pods, in one way: their IDs, or --label NAME=VALUE, or --all")
    if ids:
        return list(dict.fromkeys(ids))
    found: list[str] = []
    asked: dict[str, Any] = {"labels": wanted_labels(labels or ()), "fields": ["intent"], "limit": _PAGE}
    while True:
        page = call(Call(name="pods.list", kwargs=asked))
        found += [pod["pod_id"] for pod in page["pods"] if pod["intent"] != IntentKind.DELETED]
        if page["next"] is None:
            return found
        asked = asked | {"after": page["next"]}


def change_all(pod_ids: Sequence[str], wanted: Change, *, named: bool) -> None:
    """Ask the same of pods: a single one that was `named` is answered as by `change`, others in a list."""
    if named and len(pod_ids) == 1:
        change(pod_ids[0], wanted)
        return
    if wanted.task_id is not None:
        raise typer.BadParameter("is the id of one task, so it needs one pod", param_hint="--task-id")
    answers = call_each([wanted.to(pod_id) for pod_id in pod_ids]) if pod_ids else []
    pods = [each for each in answers if not isinstance(each, EndingError)]
    refused = {
        pod_id: each for pod_id, each in zip(pod_ids, answers, strict=True) if isinstance(each, EndingError)
    }
    told = [{"pod_id": pod_id, "error": each.shown()} for pod_id, each in refused.items()]
    if pods or wanted.as_json:
        show([*pods, *told], as_json=wanted.as_json, table=lambda _: Group(*map(tables.pod_line, pods)))
    if not pod_ids:
        say("there is no such pod")
    for pod_id, each in refused.items():
        say(f"{pod_id}: {each}", style="red")
    if refused or any(pod["phase"] in _IN_TROUBLE for pod in pods):
        raise typer.Exit(Exit.FAILED)
    if any(pod["phase"] in _ON_ITS_WAY for pod in pods):
        say("accepted, and not all are there yet; follow them: pinacle pods watch")
        raise typer.Exit(Exit.UNFINISHED)


def change(pod_id: str, wanted: Change) -> None:
    """Send a task that sets a pod's intent, show the pod, and end according to its phase."""
    pod = call(wanted.to(pod_id))
    show(pod, as_json=wanted.as_json, table=lambda _console: tables.pod_line(pod))
    if pod["phase"] == Phase.DELETED and not pod.get("existed", True):
        say(f"there was no such pod: {pod_id}")
    if pod["phase"] in _ON_ITS_WAY:
        say(f"accepted, and not there yet; follow it: pinacle pods watch {pod_id}")
        raise typer.Exit(Exit.UNFINISHED)
    if pod["phase"] in _IN_TROUBLE:
        say(f"accepted, and in trouble; look into it: pinacle pods get {pod_id}")
        raise typer.Exit(Exit.FAILED)
