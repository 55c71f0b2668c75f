"""Options that several commands have."""

from typing import Annotated

import typer

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
        help="Send again what got no answer: what has the same id is accepted once.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
