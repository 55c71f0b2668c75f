"""What is said to be lost with a container."""

from worker.pods.unprotected import ENGINES_OWN, Change, ChangeKind, new_at_the_top, unprotected_paths

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
    """So are the places that the Engine makes for mounts, and what never persists anyway."""
    assert unprotected(("/var/lib/x", A), ("/usr", A), ("/usr/local", A)) == []
    assert unprotected(("/run/pid", A), ("/tmp/x", A)) == []
    assert unprotected(("/sbin", A), ("/sbin/docker-init", A)) == []


def test_only_a_full_directory_directly_below_the_root_gets_a_volume() -> None:
    changes = [("/data", A), ("/data/x", A), ("/empty", A), ("/file", A), ("/usr", M), ("/usr/x", A)]
    assert new_at_the_top([Change(*change) for change in changes], MOUNTED) == ["/data"]


def test_a_folder_is_found_behind_more_changes_than_are_listed() -> None:
    """Else it would go with its container although the list for people is full."""
    many = [Change(f"/bin/program-{number}", A) for number in range(1000)]
    assert new_at_the_top([*many, Change("/data", A), Change("/data/x", A)], MOUNTED) == ["/data"]
    assert len(unprotected_paths(many, MOUNTED)) == 100
