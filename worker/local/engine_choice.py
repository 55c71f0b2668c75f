"""Which Engine an installation uses: chosen once, noted in its folder, and never changed automatically.

The pods are on the Engine on which they were made. If another Engine answers one day, it has none of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

PRIVATE: Final = "private"
"""The note for an Engine of the installation's own, in its folder."""


class WrongEngineError(Exception):
    """The installation's Engine is not the one that was named, or does not answer."""


def choose_engine(
    note: Path, *, given: str | None, usual: str, private: str, answers: Callable[[str], bool]
) -> str:
    """Return the address of the Engine to use; for one of the installation's own that is `private`.

    `note` is the file that says which one it was. `given` is DOCKER_HOST, None if it is not set, and `usual`
    is the address that is meant then. Raises WrongEngineError, which says what to do.
    """
    noted = _noted(note)
    if noted is None and given is None and (note.parent / "engine" / "data").is_dir():
        noted = PRIVATE  # The folder is older than the note.
    if noted is None:
        wanted = given or usual
        return wanted if wanted != private and answers(wanted) else private
    address = private if noted == PRIVATE else noted
    if given is not None and given != address and answers(given):
        raise WrongEngineError(
            f"the pods of this installation are on the Engine at {address}, as {note} says, and "
            f"DOCKER_HOST names {given}, which has none of them. Leave DOCKER_HOST out to go on with the "
            f"former; to start over on the latter, without these pods, remove {note}"
        )
    if address != private and not answers(address):
        raise WrongEngineError(
            f"the Engine at {address} does not answer, and the pods of this installation are on it, as "
            f"{note} says: start it. Only to start over on another one, without these pods, remove {note}"
        )
    return address


def note_engine(note: Path, address: str, *, private: str) -> None:
    """Note which Engine it is, for the next time; the private one by a word, as its folder may be moved."""
    note.write_text(f"{PRIVATE if address == private else address}\n", encoding="utf-8")


def _noted(note: Path) -> str | None:
    return (note.read_text(encoding="utf-8").strip() or None) if note.exists() else None
