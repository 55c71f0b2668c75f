"""Passwords of an installation, made once, in files that only its owner can read."""

import os
import secrets
import tempfile
from pathlib import Path


def flower_password(folder: Path) -> str:
    """Return Flower's user and password, which are made once and which only the folder's owner can read."""
    return _kept(folder / "flower-auth", f"pinacle:{secrets.token_urlsafe(18)}")


def redis_url(folder: Path, port: int) -> str:
    """Return the embedded Redis' address with its password, made and kept in the same way."""
    return _kept(folder / "redis-url", f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{port}/0")


def _kept(path: Path, new: str) -> str:
    """Return the content of a file; if there is none yet, write `new` to it."""
    if path.exists() and (text := path.read_text()):
        path.chmod(0o600)
        return text
    write_private(path, new)
    return new


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; it never has another mode or only part of the text."""
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(made, "w") as file:
        file.write(text)
    Path(name).replace(path)
