"""What people read if data is not where it should be: they copy the commands in it."""

import pytest

from tests.support.situations import View, pod, sees
from worker.planner.volumes.storage import host_storage_problem, storage_problem, unasked_volume

KEEPER = "pinacle-storage-test"


@pytest.mark.parametrize(("known", "found"), [(None, None), (None, "one"), ("one", "one")])
def test_a_storage_that_is_the_known_one_or_the_first_is_right(known: str | None, found: str | None) -> None:
    assert host_storage_problem("here", known, found, "test") is None


@pytest.mark.parametrize(("found", "what"), [(None, "is missing."), ("two", "is that of storage two.")])
def test_another_storage_is_named_with_what_to_do(found: str | None, what: str) -> None:
    problem = str(host_storage_problem("here", "one", found, "test"))
    assert f"host here does not have its storage (one): volume {KEEPER} {what}" in problem
    assert "hosts.accept_storage('here')" in problem


@pytest.mark.parametrize(
    ("view", "what"),
    [
        (sees(without="home"), "is missing: mount the disk that holds it"),
        (sees(unasked="home"), "is missing, an empty one stands in its place: remove that one, then mount"),
        (
            sees(replaced="home"),
            "was replaced: it has dev.pinacle.incarnation=another instead of one: take it away, then mount",
        ),
    ],
)
def test_a_volume_that_is_lost_is_named_with_the_command_for_another(view: View, what: str) -> None:
    record = pod()
    problem = str(storage_problem(record, view(record), record.state.layout))
    assert problem.startswith(f"volume pinacle-vol-a-home (/home) {what}")
    assert (
        "`docker volume create --label dev.pinacle.pod=a --label dev.pinacle.volume=home "
        "--label dev.pinacle.incarnation=one --label dev.pinacle.restored=1 pinacle-vol-a-home`; when its "
        "data is in it, send pods.restart('a', force=true): it starts no sooner"
    ) in problem


def test_a_volume_that_the_engine_made_unasked_is_named() -> None:
    record = pod()
    assert unasked_volume(sees(unasked="home")(record)) == "pinacle-vol-a-home"
    assert unasked_volume(sees()(record)) is None
    assert storage_problem(record, sees()(record), record.state.layout) is None
