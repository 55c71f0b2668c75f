"""Options that several commands have."""

from typing import Annotated

import typer

from worker.cli.records import known_ids

PodId = Annotated[
    str, typer.Argument(metavar="ID", help="The pod.", show_default=False, autocompletion=known_ids)
]
PodIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID...", help="The pods.", show_default=False, autocompletion=known_ids),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="The worker's exact answer, one JSON document on standard output.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", min=0.1, metavar="SECONDS", help="Longest wait for an answer.", show_default=False
    ),
]
TaskId = Annotated[
    str | None,
    typer.Option(
        "--task-id",
        metavar="ID",
        help="Send again a task that got no answer: a task with the same id is accepted only once.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")]
