"""`pinacle pods ...`: the tasks about pods, by name."""

from typing import Annotated, Any, Final

import typer

from config.tiers import TIERS
from worker.cli import tables, watching
from worker.cli.confirm import confirm
from worker.cli.exits import EndingError, Exit
from worker.cli.inside import commands as inside
from worker.cli.options import AsJson, TaskId, Timeout, Yes
from worker.cli.screen import say, show
from worker.cli.sending import Call, call
from worker.cli.specs import SpecOptions, patch_of, spec_of, wanted_labels
from worker.pods.model import Phase

app: Final = typer.Typer(help="Pods: make, change, look at them.", no_args_is_help=False)

PodId = Annotated[str, typer.Argument(metavar="ID", help="The pod.", show_default=False)]
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

_ON_ITS_WAY: Final = (Phase.PENDING, Phase.DELETING)
_IN_TROUBLE: Final = (Phase.BACKOFF, Phase.STORAGE_MISSING, Phase.FAILED)


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
    _change("create", pod_id, wanted, adopt=adopt, as_json=as_json, timeout=timeout, task_id=task_id)


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
    _change("update", pod_id, wanted, as_json=as_json, timeout=timeout, task_id=task_id, **more)


@app.command()
def start(pod_id: PodId, *, as_json: AsJson = False, timeout: Timeout = None, task_id: TaskId = None) -> None:
    """Start a stopped pod."""
    _change("start", pod_id, as_json=as_json, timeout=timeout, task_id=task_id)


@app.command()
def stop(pod_id: PodId, *, as_json: AsJson = False, timeout: Timeout = None, task_id: TaskId = None) -> None:
    """Stop a pod; its container and its volumes stay."""
    _change("stop", pod_id, as_json=as_json, timeout=timeout, task_id=task_id)


@app.command()
def restart(
    pod_id: PodId,
    *,
    force: Annotated[bool, typer.Option("--force", help="Also a healthy one.")] = False,
    recreate: Annotated[bool, typer.Option("--recreate", help="Also replace its container.")] = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Start a pod again after a crash; a healthy one is left alone."""
    given = {"recreate": True} if recreate else {}
    _change("restart", pod_id, force=force, **given, as_json=as_json, timeout=timeout, task_id=task_id)


@app.command()
def delete(
    pod_id: PodId,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
    task_id: TaskId = None,
) -> None:
    """Remove a pod and its volumes, for good."""
    confirm(f"Remove pod {pod_id} and all data on its volumes, for good?", yes=yes)
    _change("delete", pod_id, as_json=as_json, timeout=timeout, task_id=task_id)


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
    answer = call(Call(name="pods.list", kwargs=kwargs, timeout_s=timeout))
    show(answer, as_json=as_json, table=lambda console: tables.pod_list(answer, console))


inside.add_to(app)


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
    watching.watch(pod_id, until=until, as_json=as_json, timeout_s=timeout)


def reconcile(*, as_json: AsJson = False, timeout: Timeout = None) -> None:
    """Let every host look at all its pods now, and repair them."""
    answer = call(Call(name="pods.reconcile", timeout_s=timeout))
    show(answer, as_json=as_json, table=lambda _console: tables.pass_line(answer))
    if answer["failed"]:
        raise EndingError(Exit.FAILED, "not every pod could be repaired: `pinacle pods list` says why")
    if answer["pending"]:
        raise EndingError(Exit.UNFINISHED, "repairs go on: follow them with `pinacle pods watch`")


def _change(
    verb: str,
    pod_id: str,
    *args: Any,
    as_json: bool,
    timeout: float | None,
    task_id: str | None,
    **kwargs: Any,
) -> None:
    """Send a task that sets a pod's intent, show the pod, and end according to its phase."""
    pod = call(
        Call(
            name=f"pods.{verb}",
            args=(pod_id, *args),
            kwargs=kwargs,
            pod_id=pod_id,
            task_id=task_id,
            timeout_s=timeout,
        )
    )
    show(pod, as_json=as_json, table=lambda _console: tables.pod_line(pod))
    if pod["phase"] == Phase.DELETED and not pod.get("existed", True):
        say(f"there was no such pod: {pod_id}")
    if pod["phase"] in _ON_ITS_WAY:
        say(f"accepted, and not there yet; follow it: pinacle pods watch {pod_id}")
        raise typer.Exit(Exit.UNFINISHED)
    if pod["phase"] in _IN_TROUBLE:
        say(f"accepted, and in trouble; look into it: pinacle pods get {pod_id}")
        raise typer.Exit(Exit.FAILED)
