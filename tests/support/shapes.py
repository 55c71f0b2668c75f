"""Shapes of images for tests, as they are seen when an image has these links, files and directories."""

from collections.abc import Collection, Mapping
from typing import Final

from config.layout import SYSTEM_DIRECTORIES
from worker.pods.shape import ROOT, Folder, ImageShape, Kind, Look, next_look

MERGED: Final = ("/usr",)
"""The system directories of an image whose /bin and /lib lead into /usr."""


def seen_shape(
    paths: Collection[str],
    links: Mapping[str, str] | None = None,
    *,
    directories: Collection[str] = MERGED,
    loops: Collection[str] = (),
    files: Collection[str] = (),
    missing: Collection[str] = (),
    run: tuple[Folder, ...] = (),
    roots: Collection[str] = (),
) -> ImageShape:
    """Return the shape of an image that was looked at for `paths`.

    `directories` are the system directories that are real. Every path that is not named is a directory.
    """
    shape = ImageShape(run=run, roots=tuple(roots) if ROOT in paths else None)
    absent = {*missing, *SYSTEM_DIRECTORIES} - set(directories)
    while (path := next_look(shape, paths)) is not None:
        target = (links or {}).get(path, "")
        kind = Kind.LINK if target else Kind.LOOP if path in loops else Kind.FILE if path in files else None
        kind = kind or (Kind.MISSING if path in absent else Kind.DIRECTORY)
        shape = shape.seen(path, Look(kind=kind, target=target))
    return shape
