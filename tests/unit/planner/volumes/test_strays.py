"""Volumes of a pod that its layout does not have become part of it, at their own paths."""

import re
from typing import Final

import pytest
from hypothesis import given

from tests.support.shapes import seen_shape
from tests.support.situations import DATABASE, LABELS, layout, made_by, new_pod, pod, sees
from tests.unit.pods.test_layout import PATHS
from worker.planner.fold.fold import fold
from worker.planner.fold.results import FillBegun
from worker.planner.steps import BeginFill
from worker.planner.volumes.kept import _new
from worker.planner.volumes.mounts import _is_in_volume
from worker.planner.volumes.strays import declared_path, doubled, stray_problem, volume_path
from worker.pods import naming
from worker.pods.layout import declared_name
from worker.pods.model import VolumeClass
from worker.pods.observation import ObservedVolume
from worker.pods.shape import ImageShape


@given(path=PATHS)
def test_the_name_of_a_declared_volume_says_its_path(path: str) -> None:
    """Unless it is too long for that; then it gives none, never a wrong one."""
    name = declared_name(path)
    assert declared_path(name) == (None if re.fullmatch(r"declared\._[0-9a-f]{64}", name) else path)


@pytest.mark.parametrize("name", ["home", "declared", "declared.", "declared._ff", "declared.a b"])
def test_no_other_name_says_a_path(name: str) -> None:
    assert declared_path(name) is None


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        ({naming.LABEL_VOLUME: "declared.data"}, "/data"),
        ({naming.LABEL_VOLUME: "declared.data", naming.LABEL_PATH: "/other"}, "/other"),
        ({naming.LABEL_VOLUME: "x", naming.LABEL_PATH: "/"}, None),
        ({naming.LABEL_VOLUME: "x", naming.LABEL_PATH: "relative"}, None),
        ({naming.LABEL_VOLUME: "x", naming.LABEL_PATH: "/run/x"}, None),
        ({}, None),
    ],
)
def test_a_label_says_the_path_before_the_name_does(labels: dict[str, str], path: str | None) -> None:
    assert volume_path(ObservedVolume(name="v", labels=labels)) == path


def test_what_is_there_of_a_pod_is_in_the_layout_once_it_is_begun() -> None:
    """As it is: filled, and with its own incarnation. A volume with another pod's labels does not."""
    others = {**LABELS, naming.LABEL_POD: "b", naming.LABEL_VOLUME: "declared.srv.x"}
    kept = made_by("old", **{naming.LABEL_VOLUME: "declared.data"})
    record = new_pod()
    seen = sees(more={"declared.data": kept, "declared.srv.x": others})(record)
    begun, _ = fold(record, seen, BeginFill(), FillBegun("new"), 0.0)
    last = begun.state.layout[-1]
    assert (last.name, last.path, last.volume_class) == ("declared.data", "/data", VolumeClass.DECLARED)
    assert (last.incarnation, last.filled) == ("old", True)
    assert {volume.incarnation for volume in begun.state.layout[:-1]} == {"new"}


DATA_IS_SRV: Final = seen_shape(("/data", "/srv"), {"/data": "/srv"})


def test_a_stray_volume_has_the_path_that_no_other_one_is_mounted_at() -> None:
    """The image's own volume of that path is mounted where a link leads, and so leaves it free."""
    labels = {**LABELS, naming.LABEL_VOLUME: "declared.other", naming.LABEL_PATH: "/data"}
    record = pod(image=DATABASE)
    seen = sees(more={"declared.other": labels})(record)
    taken = stray_problem(record, seen.evolve(shapes={DATABASE.id: ImageShape()}), DATABASE)
    assert taken is not None
    assert "another volume is mounted at /data" in taken
    assert stray_problem(record, seen.evolve(shapes={DATABASE.id: DATA_IS_SRV}), DATABASE) is None


def test_what_is_kept_of_a_container_goes_by_the_links_of_its_image() -> None:
    record = pod(image=DATABASE)
    seen = sees()(record)
    assert set(_new(record, seen.evolve(shapes={DATABASE.id: ImageShape()}))) == {"/data"}
    assert _new(record, seen.evolve(shapes={DATABASE.id: DATA_IS_SRV})) == {}


def test_whoever_has_the_same_twice_is_told_what_to_do() -> None:
    told = doubled({"/data/x": "volume"}, ["/srv", "/data"])
    assert told is not None
    assert told.startswith(
        "the container has a directory /data of its own, and volume volume holds an earlier /data/x"
    )
    assert told.endswith("then send pods.restart")
    assert doubled({"/data/x": "volume"}, ["/srv", "/dat"]) is None


def test_a_temporary_directory_is_a_volumes_only_at_that_volume_or_below_it() -> None:
    (volume,) = layout(declared=["/run/db"])[-1:]
    assert _is_in_volume("/run/db", {"/run/db": volume})
    assert _is_in_volume("/run/db/x", {"/run/db": volume})
    assert not _is_in_volume("/run/dbx", {"/run/db": volume})
    assert not _is_in_volume("/run", {"/run/db": volume})
    assert not _is_in_volume("/srv/x", {"/srv": volume})
