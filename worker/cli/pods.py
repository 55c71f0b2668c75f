"""`pinacle pods ...`: the tasks about pods, by name."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from config.phases import Phase
from config.tiers import TIERS
from worker.cli import tables
from worker.cli.asking.calls import Call, call
from worker.cli.changing import Change, change, change_all, chosen
from worker.cli.exits import EndingError, Exit, OtherVersionError
from worker.cli.inside import commands as inside
from worker.cli.inside import usage
from worker.cli.options import AsJson, DryRun, PodId, PodIds, TaskId, Timeout, Yes
from worker.cli.previewing import preview
from worker.cli.screen import confirm, show
from worker.cli.specs import SpecOptions, patch_of, spec_of, wanted_labels

app: Final = typer.Typer(help="Pods: make, change, look at them.", no_args_is_help=False)

Every = Annotated[bool, typer.Option("--all", help="All pods, of all hosts.")]
Labelled = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME[=VALUE]", help="The pods with this label; may be repeated."),
]
_LISTED: Final = 10
"""Ids that a question names."""
_Spec = Annotated[
    str | None, typer.Option("--spec", metavar="FILE|-", help="The spec as a JSON file; - is standard input.")
]
_Image = Annotated[str | None, typer.Option("--image", help="Image, such as debian:12-slim.")]
_Env = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        metavar="NAME=VALUE",
        help="Adds to env; may be repeated. Everybody on this machine can see it in this command's "
        "arguments, so put secrets into --spec.",
    ),
]
_Ports = Annotated[
    list[str] | None,
    typer.Option("--port", metavar="CONTAINER[:HOST][/udp]", help="Publishes a port; may be repeated."),
]
_Tier = Annotated[str | None, typer.Option("--tier", help=f"{', '.join(TIERS)}.")]
_Labels = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="Labels the pod; may be repeated."),
]
_Description = Annotated[str | None, typer.Option("--description", help="A line about it, for people.")]
_Unset = Annotated[
    list[str] | None,
    typer.Option(
        "--unset", metavar="KEY", help="Gives a key its default; env.NAME removes one; again for each."
    ),
]
_Discard = Annotated[
    list[str] | None,
    typer.Option(
        "--discard", metavar="PATH", help="Gives up what the container has at a path; may be repeated."
    ),
]


@app.command()
def create(
    pod_id: PodId,
    *,
    spec: _Spec = None,
    image: _Image = None,
    env: _Env = None,
    port: _Ports = None,
    tier: _Tier = None,
    label: _Labels = None,
    description: _Description = None,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over a container that has the pod's name.")
    ] = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Make a pod exist and run; again with the same spec is fine."""
    given = SpecOptions(
        file=spec,
        image=image,
        env=env or (),
        ports=port or (),
        tier=tier,
        labels=label or (),
        description=description,
    )
    wanted = spec_of(given)
    asked = {"adopt": adopt}
    change(
        pod_id,
        Change(
            verb="create", args=(wanted,), kwargs=asked, as_json=as_json, timeout_s=timeout, task_id=task_id
        ),
    )


@app.command()
def update(
    pod_id: PodId,
    *,
    spec: _Spec = None,
    image: _Image = None,
    env: _Env = None,
    port: _Ports = None,
    tier: _Tier = None,
    label: _Labels = None,
    description: _Description = None,
    unset: _Unset = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Takes what is given for the whole spec; the rest is lost.")
    ] = False,
    expected_generation: Annotated[
        int | None,
        typer.Option("--expected-generation", metavar="N", help="Refused if the pod is not at this one."),
    ] = None,
    discard: _Discard = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Change a pod's spec, on the same volumes: what is given, and nothing else.

    Ports and labels are given whole.
    """
    given = SpecOptions(
        file=spec,
        image=image,
        env=env or (),
        ports=port or (),
        tier=tier,
        labels=label or (),
        description=description,
        unset=unset or (),
    )
    wanted = spec_of(given) if replace else patch_of(given)
    if not wanted and not discard:
        raise typer.BadParameter(
            "say what to change: --image, --env, --port, --tier, --label, --description, --unset or --spec"
        )
    more: dict[str, Any] = {"replace": True} if replace else {}
    more |= {} if expected_generation is None else {"expected_generation": expected_generation}
    more |= {"discard": discard} if discard else {}
    asked = Change(
        verb="update", args=(wanted,), kwargs=more, as_json=as_json, timeout_s=timeout, task_id=task_id
    )
    preview([pod_id], asked, named=True) if dry_run else change(pod_id, asked)


@app.command()
def start(
    pod_ids: PodIds = None,
    *,
    every: Every = False,
    label: Labelled = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Start stopped pods."""
    asked = Change(verb="start", as_json=as_json, timeout_s=timeout, task_id=task_id)
    change_all(chosen(pod_ids, label, every=every), asked, named=bool(pod_ids))


@app.command()
def stop(
    pod_ids: PodIds = None,
    *,
    every: Every = False,
    label: Labelled = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Stop pods; their containers and volumes stay."""
    asked = Change(verb="stop", as_json=as_json, timeout_s=timeout, task_id=task_id)
    change_all(chosen(pod_ids, label, every=every), asked, named=bool(pod_ids))


@app.command()
def restart(
    pod_ids: PodIds = None,
    *,
    every: Every = False,
    label: Labelled = None,
    force: Annotated[bool, typer.Option("--force", help="Also healthy ones.")] = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Also replace their containers.")] = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Start pods again after a crash; healthy ones are left alone."""
    given = {"force": force} | ({"recreate": True} if recreate else {})
    asked = Change(verb="restart", kwargs=given, as_json=as_json, timeout_s=timeout, task_id=task_id)
    change_all(chosen(pod_ids, label, every=every), asked, named=bool(pod_ids))


@app.command("rm", hidden=True)
@app.command()
def delete(
    pod_ids: PodIds = None,
    *,
    every: Every = False,
    label: Labelled = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Remove pods and their volumes, for good; `rm` is the same."""
    ids = chosen(pod_ids, label, every=every)
    asked = Change(verb="delete", as_json=as_json, timeout_s=timeout, task_id=task_id)
    if dry_run:
        preview(ids, asked, named=bool(pod_ids))
        return
    if ids:
        one = f"Remove pod {ids[0]} and all data on its volumes, for good?"
        many = f"Remove {len(ids)} pods and all data on their volumes, for good: {_some(ids)}?"
        confirm(one if len(ids) == 1 else many, yes=yes)
    change_all(ids, asked, named=bool(pod_ids))


@app.command()
def get(pod_id: PodId, *, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Show everything about one pod."""
    answer = call(Call(name="pods.get", args=(pod_id,), timeout_s=timeout))
    show(answer, as_json=as_json, table=lambda _console: tables.pod_details(answer))


@app.command("ls", hidden=True)
@app.command("list")
def list_(
    *,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also what the host has of pods without a record.")
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME[=VALUE]", help="Only pods with this label; may be repeated."),
    ] = None,
    phase: Annotated[
        list[Phase] | None, typer.Option("--phase", help="Only pods in this phase; may be repeated.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Only pods of this host.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", help="So many at most.")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Only pods after this one.")
    ] = None,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> None:
    """Show all pods of all hosts, or some; `ls` is the same."""
    asked: dict[str, Any] = {
        "labels": wanted_labels(label or ()),
        "phase": phase,
        "host": host,
        "limit": limit,
        "after": after,
        "fields": None if as_json else tables.LISTED,
    }
    kwargs = {"orphans": orphans} | {key: value for key, value in asked.items() if value}
    answer = _listed(kwargs, timeout)
    show(answer, as_json=as_json, table=lambda console: tables.pod_list(answer, console))


def _listed(kwargs: dict[str, Any], timeout_s: float | None) -> Any:
    """Return the answer of `pods.list`; a worker from before there were `fields` gives it whole."""
    try:
        return call(Call(name="pods.list", kwargs=kwargs, timeout_s=timeout_s))
    except OtherVersionError:
        if kwargs.keys() != {"orphans", "fields"}:
            raise
        known = {"orphans": kwargs["orphans"]}
        return call(Call(name="pods.list", kwargs=known, timeout_s=timeout_s))


inside.add_to(app)
app.command()(usage.stats)


@app.command()
def watch(
    pod_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="One pod; all if left out.")] = None,
    *,
    until: Annotated[
        Phase | None, typer.Option("--until", help="Ends once the pod has this phase; needs an ID.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document per line.")] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Ends after this many seconds.")] = None,
) -> None:
    """Show changes of phase as they come, until Ctrl-C."""
    if until is not None and pod_id is None:
        raise typer.BadParameter("needs the ID of a pod", param_hint="--until")
    from worker.cli import watching  # noqa: PLC0415 - as in worker.cli.__init__

    watching.watch(pod_id, until=until, as_json=as_json, timeout_s=timeout)


def reconcile(*, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Let every host look at all its pods now, and repair them."""
    answer = call(Call(name="pods.reconcile", timeout_s=timeout))
    show(answer, as_json=as_json, table=lambda _console: tables.pass_line(answer))
    if answer["failed"]:
        raise EndingError(Exit.FAILED, "not every pod could be repaired: `pinacle pods list` says why")
    if answer["pending"]:
        raise EndingError(Exit.UNFINISHED, "repairs go on: follow them with `pinacle pods watch`")


def _some(pod_ids: Sequence[str]) -> str:
    """Return the first ids of many."""
    more = len(pod_ids) - _LISTED
    return ", ".join(pod_ids[:_LISTED]) + (f" and {more} more" if more > 0 else "")
