"""What is said to be lost with a container."""

from worker.planner.volumes.unprotected import ENGINES_OWN, Change, ChangeKind, unprotected_paths

A, M, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED
MOUNTED = ("/usr/local", "/var", "/home", "/etc")


def unprotected(*changes: tuple[str, ChangeKind]) -> list[str]:
    found = unprotected_paths([Change(path, kind) for path, kind in changes], MOUNTED)
    assert found[:3] == list(ENGINES_OWN)
    return found[3:]


def test_the_highest_of_what_was_made_stands_for_the_rest() -> None:
    assert unprotected(("/data", A), ("/data/deep", A), ("/data/deep/file", A)) == ["/data"]


def test_a_directory_that_was_changed_below_is_not_lost_as_a_whole() -> None:
    assert unprotected(("/usr", M), ("/usr/bin", M), ("/usr/bin/jq", A), ("/usr/bin/yes", D)) == [
        "/usr/bin/jq",
        "/usr/bin/yes",
    ]


def test_what_is_on_a_volume_is_safe() -> None:
    """And neither are the places that the Engine makes for mounts, nor what never persists anyway."""
    assert unprotected(("/var/lib/x", A), ("/usr", A), ("/usr/local", A)) == []
    assert unprotected(("/run/pid", A), ("/tmp/x", A)) == []
    assert unprotected(("/sbin", A), ("/sbin/docker-init", A)) == []


def test_no_more_than_a_hundred_are_listed() -> None:
    many = [Change(f"/bin/program-{number}", A) for number in range(1000)]
    assert len(unprotected_paths(many, MOUNTED)) == 100
