"""Which pod each thing belongs to in a list of everything on a host."""

from dataclasses import replace
from typing import Final

import pytest

from tests.support.situations import LABELS, pod, running
from worker.pods import naming
from worker.pods.observation import ObservedVolume, Snapshot, is_second
from worker.pods.shape import ImageShape

OTHERS: Final = {naming.LABEL_POD: "b", naming.LABEL_INSTALLATION: "other"}


def volume(name: str, **labels: str) -> ObservedVolume:
    return ObservedVolume(name=name, labels={f"dev.pinacle.{key}": value for key, value in labels.items()})


@pytest.mark.parametrize(
    ("found", "storages"),
    [
        (volume("pinacle-storage-test", installation="test", storage="s1"), {"test": "s1"}),
        (volume("pinacle-storage-other", installation="test", storage="s1"), {}),
        (volume("pinacle-storage-test", installation="test"), {}),
        (volume("pinacle-storage-test", storage="s1"), {}),
        (volume("pinacle-storage-None", storage="s1"), {}),
        (volume("pinacle-vol-a-home", installation="test", storage="s1"), {}),
    ],
    ids=["the sentinel", "another name", "no identity", "no owner", "no owner at all", "a pod's volume"],
)
def test_a_sentinel_is_known_by_its_whole_name_and_labels(
    found: ObservedVolume, storages: dict[str, str]
) -> None:
    assert Snapshot.of([], [found]).storages == storages


def test_pods_are_known_by_the_labels_of_what_is_there() -> None:
    """Only of this installation: both containers and volumes."""
    record = pod()
    container = running()(record)
    foreign = running(labels=OTHERS)(record)
    volumes = [
        ObservedVolume(name="pinacle-vol-c-home", labels={**LABELS, naming.LABEL_POD: "c"}),
        ObservedVolume(name="pinacle-vol-d-home", labels={naming.LABEL_INSTALLATION: "test"}),
        ObservedVolume(name="pinacle-vol-e-home", labels=OTHERS),
    ]
    assert Snapshot.of([container], volumes).pod_ids("test") == {"a", "c"}
    assert Snapshot.of([foreign], []).pod_ids("test") == frozenset()


def test_a_container_that_inherited_its_labels_from_an_image_is_no_pods() -> None:
    """It has no pod's name and mounts nothing of one; any other container that mounts something counts."""
    own = running()(pod())
    inherited = replace(own, name="somebodys", volumes={"/data": "somebodys"})
    renamed = replace(own, name="renamed")
    assert renamed.volumes
    assert Snapshot.of([inherited], []).pod_ids("test") == frozenset()
    assert Snapshot.of([renamed], []).pod_ids("test") == {"a"}
    assert Snapshot.of([replace(inherited, name="pinacle-pod-a")], []).pod_ids("test") == {"a"}


def test_a_volume_is_a_pods_by_its_whole_name() -> None:
    """A pod `a` with a volume `b-home` and a pod `a-b` with `home` would share one."""
    right = volume("pinacle-vol-a-home", pod="a", volume="home")
    wrong = volume("pinacle-vol-a-b-home", pod="a", volume="home")
    snapshot = Snapshot.of([], [right, wrong])
    assert set(snapshot.pod("a", frozenset()).volumes) == {right.name}
    assert set(snapshot.pod("a", frozenset({wrong.name, "gone"})).volumes) == {right.name, wrong.name}


def test_a_pod_sees_the_whole_hosts_storage_and_bases() -> None:
    base = volume("pinacle-base-1-usr", base="sha256:1")
    sentinel = volume("pinacle-storage-test", installation="test", storage="s1")
    seen = Snapshot.of([], [base, sentinel]).pod("a", frozenset())
    assert seen.storages == {"test": "s1"}
    assert set(seen.bases) == {base.name}


def test_a_pod_sees_its_second_containers_and_what_is_known_of_images() -> None:
    own = running()(pod())
    second = replace(own, id="second", name="second")
    shapes = {"sha256:1": ImageShape()}
    seen = Snapshot.of([own, second], [], shapes).pod("a", frozenset())
    assert (seen.container, seen.others, seen.shapes) == (own, (second,), shapes)
    assert Snapshot.of([second], [], shapes).pod("a", frozenset()).others == (second,)
    assert Snapshot.of([second], []).pod("b", frozenset()).others == ()
    assert is_second(seen, "second")
    assert not is_second(seen, own.id)
    assert not is_second(seen, None)
