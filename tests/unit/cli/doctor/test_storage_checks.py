"""What the doctor concludes from a host's storage and from what holds volumes."""

from dataclasses import replace
from typing import Final

from worker.cli.doctor import storage_checks
from worker.cli.doctor.checks import Status
from worker.pods import naming
from worker.pods.observation import ContainerState, ObservedContainer, ObservedVolume, Snapshot

OURS: Final = {naming.LABEL_INSTALLATION: "test"}


def _volume(pod_id: str, short: str) -> ObservedVolume:
    labels = {**OURS, naming.LABEL_POD: pod_id, naming.LABEL_VOLUME: short}
    return ObservedVolume(name=naming.volume_name(pod_id, short), labels=labels)


def _container(pod_id: str, *shorts: str) -> ObservedContainer:
    return ObservedContainer(
        id=pod_id,
        name=naming.container_name(pod_id),
        state=ContainerState.CREATED,
        image_id="",
        labels={**OURS, naming.LABEL_POD: pod_id},
        volumes={f"/{short}": naming.volume_name(pod_id, short) for short in shorts},
    )


def _sentinel(identity: str) -> ObservedVolume:
    return ObservedVolume(name="pinacle-storage-test", labels={**OURS, naming.LABEL_STORAGE: identity})


def test_it_says_what_must_never_be_run_when_all_is_well_too() -> None:
    seen = Snapshot.of([_container("a", "home")], [_volume("a", "home")])
    check = storage_checks.held(seen, "test")
    assert (check.status, storage_checks.NEVER in check.detail) == (Status.OK, True)


def test_it_names_pods_whose_volumes_a_prune_would_remove() -> None:
    seen = Snapshot.of(
        [_container("a", "home"), _container("b", "home")],
        [_volume("a", "home"), _volume("b", "home"), _volume("b", "etc"), _volume("c", "home")],
    )
    check = storage_checks.held(seen, "test")
    assert check.status is Status.WARN
    assert "all volumes of b, c: a prune removes them" in check.detail
    assert "docker system prune --volumes" in (check.remedy or "")


def test_containers_that_have_more_rights_than_new_ones_are_counted_and_named() -> None:
    new = _container("new", "home")
    new = replace(new, labels={**new.labels, naming.LABEL_CONFINED: "1"})
    foreign = replace(_container("c", "home"), labels={naming.LABEL_POD: "c"})
    assert storage_checks.confined(Snapshot.of([new, foreign], []), "test").status is Status.OK
    check = storage_checks.confined(Snapshot.of([new, _container("b"), _container("a")], []), "test")
    assert check.status is Status.WARN
    assert check.detail.startswith("2 were made")
    assert check.detail.endswith(": a, b")
    assert check.remedy is not None
    assert "pinacle pods restart a --recreate" in check.remedy


def test_the_storage_is_its_own_or_another_or_that_of_a_host_with_another_name() -> None:
    seen = Snapshot.of((), [_sentinel("s-1")])
    assert storage_checks.storage("here", {"here": "s-1"}, seen, "test").status is Status.OK
    assert storage_checks.storage("here", {}, seen, "test").status is Status.OK
    other = storage_checks.storage("here", {"here": "s-2"}, seen, "test")
    assert (other.status, "does not have its storage" in other.detail) == (Status.FAIL, True)
    renamed = storage_checks.storage("new", {"here": "s-1"}, seen, "test")
    assert (renamed.status, renamed.remedy) == (Status.FAIL, "`pinacle hosts rename here new`")


def test_an_installation_is_this_redis_own_or_another_one_s() -> None:
    """Without any pod there is no conflict; what was refused is reported for a day."""
    keeper = ObservedContainer(
        id="k",
        name="pinacle-storage-test",
        state=ContainerState.CREATED,
        image_id="",
        labels={**OURS, naming.LABEL_STORE: "one"},
        volumes={},
    )
    seen = Snapshot.of([keeper], [_volume("a", "home")])
    assert storage_checks.owner("here", "one", None, seen, "test").status is Status.OK
    assert storage_checks.owner("here", "two", None, Snapshot.of([keeper], []), "test").status is Status.OK
    assert storage_checks.owner("here", None, None, Snapshot.of([], []), "test").status is Status.OK
    turned_away = storage_checks.owner("here", "one", "another asked", seen, "test")
    assert (turned_away.status, turned_away.detail) == (Status.WARN, "another asked")
    for store in ("two", None):
        other = storage_checks.owner("here", store, None, seen, "test")
        assert (other.status, "another Redis (store one)" in other.detail) == (Status.FAIL, True)


def test_other_installations_are_named_with_their_pods() -> None:
    """Beside each other they do no harm; that there is one may be news to somebody."""
    mine = Snapshot.of([], [_sentinel("x")])
    assert storage_checks.others(mine, "test").detail == "none on this Engine"
    check = storage_checks.others(Snapshot.of([], [_sentinel("x"), _volume("a", "home")]), "mine")
    assert check.status is Status.OK
    assert "test (1 pods)" in check.detail
