"""`pinacle hosts ...`: commands about whole hosts."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from worker.cli import tables
from worker.cli.asking.calls import Call, call
from worker.cli.options import AsJson, Timeout, Yes
from worker.cli.records import opened
from worker.cli.screen import confirm, plain, show

if TYPE_CHECKING:
    from worker.store.redis_store import RedisStore

app: Final = typer.Typer(help="Hosts: each is one Docker Engine and the worker beside it.")


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """Show all hosts that Redis knows, and how old their heartbeats are."""
    with opened() as records:
        answer = {"hosts": records.ask(_hosts)}
    show(answer, as_json=as_json, table=lambda console: tables.host_list(answer, console))


@app.command("accept-storage")
def accept_storage(
    host: Annotated[str, typer.Argument(metavar="HOST", show_default=False)],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> None:
    """Accept the storage that a host has now as its own, after a deliberate change."""
    confirm(
        f"Accept the storage that {host} has now as its own? Pods whose volumes are on another one stay "
        "storage_missing.",
        yes=yes,
    )
    answer = call(Call(name="hosts.accept_storage", args=(host,), timeout_s=timeout))
    text = f"the storage of {answer['host']} is {answer['storage']}"
    show(answer, as_json=as_json, table=lambda _console: plain(text))


@app.command("rename")
def rename(
    old: Annotated[str, typer.Argument(metavar="OLD", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", show_default=False)],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
    timeout: Timeout = None,
) -> None:
    """Give the pods that are recorded under a host's former name to its current name."""
    confirm(f"Record all pods of {old} under {new} from now on?", yes=yes)
    answer = call(Call(name="hosts.rename", args=(old, new), timeout_s=timeout))
    text = f"{answer['pods']} records of {answer['former']} now belong to {answer['host']}"
    show(answer, as_json=as_json, table=lambda _console: plain(text))


async def _hosts(store: "RedisStore") -> list[dict[str, Any]]:
    from config.settings import settings  # noqa: PLC0415 - as in worker.cli.__init__

    ages, storages = await store.overview.heartbeat_ages(), await store.overview.storages()
    records = await store.load_all()
    pods = Counter(record.host for record in records.values() if record.exists)
    known = {*ages, *storages, *pods, *await store.reported_hosts(), *settings().host_names}
    return [
        {
            "host": host,
            "live": host in ages and abs(ages[host]) <= settings().heartbeat_ttl_s,
            "heartbeat_age_s": ages.get(host),
            "pods": pods[host],
            "storage": storages.get(host),
        }
        for host in sorted(known)
    ]
