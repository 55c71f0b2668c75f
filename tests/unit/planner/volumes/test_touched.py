"""Which changes in a container's own root count when it is replaced, and where."""

from typing import Final

import pytest

from worker.planner.volumes.touched import Touch, touched
from worker.planner.volumes.unprotected import Change, ChangeKind

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED
MOUNTED: Final = frozenset({"/usr/local", "/srv", "/var", "/home", "/etc", "/cache/deep/down"})
BELOW, ADDED, MODIFIED, DELETED = Touch.BELOW, Touch.ADDED, Touch.MODIFIED, Touch.DELETED

CASES: Final = [
    ("nothing was changed", [], (), {}),
    ("a directory was made, and something in it", [("/data", A), ("/data/x", A)], (), {"/data": BELOW}),
    ("an empty one was made", [("/data", A)], (), {"/data": ADDED}),
    ("a file or a link in /", [("/file", A)], (), {"/file": ADDED}),
    ("something of the image was removed", [("/opt-in", D)], (), {"/opt-in": DELETED}),
    ("in a directory of the image", [("/app", M), ("/app/data", M), ("/app/data/x", A)], (), {"/app": BELOW}),
    ("removed from one", [("/app", M), ("/app/x", D)], (), {"/app": BELOW}),
    ("the mode of one", [("/app", M)], (), {"/app": MODIFIED}),
    ("told of what is in it before itself", [("/data/x", A), ("/data", A)], (), {"/data": BELOW}),
    ("on a volume", [("/srv/x", A), ("/var", M), ("/var/lib/x", A)], (), {}),
    ("a mount was made in a directory of the image", [("/usr", M), ("/usr/local", A)], (), {}),
    ("beside such a mount", [("/usr", M), ("/usr/local", A), ("/usr/bin/x", A)], (), {"/usr": BELOW}),
    ("only for a mount", [("/cache", A), ("/cache/deep", A), ("/cache/deep/down", A)], (), {}),
    (
        "beside one in such a directory",
        [("/cache", A), ("/cache/deep", A), ("/cache/x", A)],
        (),
        {"/cache": BELOW},
    ),
    ("the Engine's init", [("/sbin", A), ("/sbin/docker-init", A), ("/.dockerenv", A)], (), {}),
    (
        "beside the Engine's init",
        [("/sbin", A), ("/sbin/docker-init", A), ("/sbin/x", A)],
        (),
        {"/sbin": BELOW},
    ),
    ("what never persists", [("/tmp/x", A), ("/run/x", A), ("/run", M), ("/dev/x", A)], (), {}),
    ("at a place", [("/data", A), ("/data/x", A)], ("/data",), {"/data": BELOW}),
    (
        "at a place and above it",
        [("/data", A), ("/data/x", A), ("/data/db", A), ("/data/db/y", A)],
        ("/data/db",),
        {"/data": BELOW, "/data/db": BELOW},
    ),
    (
        "at a place only, in a directory that the owner made: it is his as a whole",
        [("/data", A), ("/data/db", A), ("/data/db/y", A)],
        ("/data/db",),
        {"/data": BELOW, "/data/db": BELOW},
    ),
    (
        "at a place only, in a directory of the image: the rest is the next image's",
        [("/app", M), ("/app/data", M), ("/app/data/y", A)],
        ("/app/data",),
        {"/app/data": BELOW},
    ),
    (
        "places within places: the deepest counts",
        [("/a", M), ("/a/b", M), ("/a/b/c", M), ("/a/b/c/x", A)],
        ("/a", "/a/b", "/a/b/c"),
        {"/a/b/c": BELOW},
    ),
    ("a place was emptied", [("/app", M), ("/app/data", D)], ("/app/data",), {"/app/data": DELETED}),
    ("names that begin alike", [("/data", A), ("/data/dbx", A)], ("/data/db",), {"/data": BELOW}),
]


@pytest.mark.parametrize(
    ("changes", "places", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_what_was_changed_is_accounted_to(
    changes: list[tuple[str, ChangeKind]], places: tuple[str, ...], expected: dict[str, Touch]
) -> None:
    assert touched([Change(*change) for change in changes], MOUNTED, places) == expected


def test_a_folder_is_found_behind_more_changes_than_are_listed() -> None:
    """Otherwise it would be lost with its container because the list for people is full."""
    many = [Change(f"/srv/program-{number}", A) for number in range(1000)]
    assert touched([*many, Change("/data", A), Change("/data/x", A)], MOUNTED, ()) == {"/data": BELOW}
