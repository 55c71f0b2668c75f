"""Asks before something that cannot be undone."""

import sys

import typer

from worker.cli.exits import EndingError, Exit


def confirm(question: str, *, yes: bool) -> None:
    """Return if the answer is yes. Raises EndingError if it is no, and if there is nobody to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise EndingError(
            Exit.USAGE, "there is no terminal to ask on, so nothing was sent: add --yes to confirm"
        )
    if not typer.confirm(question, err=True):
        raise EndingError(Exit.FAILED, "you said no, so nothing was sent")
