"""The shape of an image: what its file system has at the places where a pod's volumes go.

It was seen by looking into a container of the image that is never started, and stays the same for as long as
the image has its id. `next_look` says where to look, so that its caller needs to know nothing else.
"""

import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

RUN: Final = "/run"
ROOT: Final = "/"
"""Stands, among paths to look at, for what an image has directly below it."""


class Kind(StrEnum):
    """What stands under a path."""

    DIRECTORY = "directory"
    LINK = "link"
    FILE = "file"
    MISSING = "missing"
    LOOP = "loop"
    """A link that leads nowhere, as it leads back to itself."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen under one path whose parents are no links."""

    kind: Kind
    target: str = ""
    """For a link: where it leads in the end; there may be nothing."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A directory that the image has in its `/run`."""

    path: str
    mode: int
    """The permission bits, with setuid, setgid and sticky."""
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """What was seen of one image."""

    looks: Mapping[str, Look] = field(default_factory=dict)
    run: tuple[Folder, ...] | None = None
    """`/run` itself and all directories in it, parents first; None before anybody looked."""
    roots: tuple[str, ...] | None = None
    """The directories, not links, directly below `/`; None before anybody looked."""

    def seen(self, path: str, look: Look) -> Self:
        """Return it with one more look."""
        return replace(self, looks={**self.looks, path: look})

    def kind(self, path: str) -> Kind:
        """Return what stands under a path that was looked at; what is in no volume of ours is missing."""
        look = self.looks.get(path)
        return Kind.MISSING if look is None else look.kind

    def place(self, path: str, held: Collection[str] = ()) -> str | None:
        """Return the path without any link, None if a link leads nowhere.

        `held` are paths under which the pod has content of its own: what lies below is taken as it stands, as
        no link of this image is there.
        """
        if not self.looks:
            return path
        current = "/"
        parts = path.strip("/").split("/")
        for number, part in enumerate(parts):
            if number and (_is_in(current, held) or _is_in(posixpath.join("/", *parts[:number]), held)):
                return posixpath.join(current, *parts[number:])
            current = posixpath.join(current, part)
            look = self.looks.get(current)
            if look is not None and look.kind is Kind.LOOP:
                return None
            if look is not None and look.kind is Kind.LINK:
                current = look.target
        return current


def _is_in(path: str, places: Collection[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def next_look(shape: ImageShape, paths: Iterable[str]) -> str | None:
    """Return the next path to look at for all `paths` to have a known place, None once they have one."""
    for path in paths:
        if path == ROOT:
            if shape.roots is None:
                return ROOT
            continue
        current = "/"
        for part in path.strip("/").split("/"):
            current = posixpath.join(current, part)
            look = shape.looks.get(current)
            if look is not None and look.kind is Kind.LINK:
                # Whether there is a directory, or a file.
                current = look.target
                look = Look(kind=Kind.DIRECTORY) if current == "/" else shape.looks.get(current)
            if look is None:
                return current
            if look.kind is not Kind.DIRECTORY:
                break
    return None
