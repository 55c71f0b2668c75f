"""Why an Engine's socket cannot be used by this user, and what to do about it."""

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final

_UNIX: Final = "unix://"


def remedy_for(url: str) -> str:
    """Return what to do about an Engine that does not answer at `url`."""
    if not url.startswith(_UNIX):
        return "start Docker there, or set DOCKER_HOST to where it listens"
    path = Path(url.removeprefix(_UNIX))
    try:
        found = path.stat()
    except PermissionError:
        return f"this user cannot access {path.parent}: run this as a user who can, or set DOCKER_HOST"
    except OSError as error:
        return f"{path}: {error.strerror}. Start Docker, or set DOCKER_HOST to where its socket is"
    if not stat.S_ISSOCK(found.st_mode):
        return f"{path} is not a socket: set DOCKER_HOST to where Docker's is"
    if not os.access(path, os.R_OK | os.W_OK):
        return _membership(path, found)
    return f"its socket {path} exists, but nobody answers: start Docker, or look into its log"


def _membership(path: Path, found: os.stat_result) -> str:
    group, user = _group(found.st_gid), _user()
    if not found.st_mode & stat.S_IWGRP:
        return f"only user {_name(found.st_uid)} may use {path}: run this as that user"
    return (
        f"{path} belongs to group {group}: add this user to it (usermod -aG {group} {user}) and log in "
        "again. Every member of that group controls the host"
    )


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _user() -> str:
    return _name(os.getuid())


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
