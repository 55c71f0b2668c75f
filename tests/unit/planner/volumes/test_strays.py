"""Volumes of a pod that its layout does not have become part of it, at their own paths."""

import re

import pytest
from hypothesis import given

from tests.support.situations import LABELS, made_by, new_pod, sees
from tests.unit.pods.test_layout import PATHS
from worker.planner.fold.fold import fold
from worker.planner.fold.results import FillBegun
from worker.planner.steps import BeginFill
from worker.planner.volumes.strays import declared_path, volume_path
from worker.pods import naming
from worker.pods.layout import declared_name
from worker.pods.model import VolumeClass
from worker.pods.observation import ObservedVolume


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
