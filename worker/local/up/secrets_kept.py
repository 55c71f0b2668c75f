"""What an installation keeps in files that only its owner can read: passwords, made once."""

import os
import secrets
import tempfile
from pathlib import Path


def flower_password(folder: Path) -> str:
    """Return Flower's user and password, made once and kept for the owner of the folder only."""
    return _kept(folder / "flower-auth", f"pinacle:{secrets.token_urlsafe(18)}")


def redis_url(folder: Path, port: int) -> str:
    """Return the embedded Redis' address with its password, made and kept likewise."""
    return _kept(folder / "redis-url", f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{port}/0")


def _kept(path: Path, new: str) -> str:
    """Return what a file holds, which gets `new` where there is nothing yet."""
    if path.exists() and (text := path.read_text()):
        path.chmod(0o600)
        return text
    write_private(path, new)
    return new


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment with another mode or a part of the text."""
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(made, "w") as file:
        file.write(text)
    Path(name).replace(path)
