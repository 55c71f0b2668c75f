"""What is told of a change: its way to the end, for each situation, and what differs in the spec."""

from dataclasses import fields
from typing import Any, Final

import pytest

from tests.support.shapes import seen_shape
from tests.support.situations import NOW, Situation, room
from tests.unit.planner.test_situations import EVERY
from worker.planner.fold.fold import fold
from worker.planner.fold.imagined import imagined
from worker.planner.fold.results import (
    FoldersFound,
    FoldersMeasured,
    ImageSeen,
    StepResult,
)
from worker.planner.plan import plan
from worker.planner.steps import (
    READ_ONLY,
    ChooseOtherPorts,
    CompareDirectories,
    FindFolders,
    LookAtImage,
    MeasureFolders,
    PinImage,
    PrepareSystem,
    PullDigest,
    Step,
)
from worker.pods.observation import Observation
from worker.pods.own_root import Look
from worker.pods.spec import SECRET_FIELDS, PodSpec
from worker.service.preview.changes import MASKED, changes
from worker.service.preview.words import words

_LONGEST: Final = 40
_DECIDES: Final = (PinImage, PullDigest, PrepareSystem, ChooseOtherPorts, CompareDirectories)
"""What follows them depends on what they find."""


def _seen(step: Step) -> StepResult | None:
    """Return what a step that only looks finds where all is well."""
    match step:
        case LookAtImage(places=places):
            return ImageSeen(seen_shape(places))
        case FindFolders(container_id=container_id, at=places):
            return FoldersFound(Look(container_id=container_id, places=places, found={}, ended=True))
        case MeasureFolders(paths=paths):
            return FoldersMeasured(room(*paths))
        case _:
            return None


@pytest.mark.parametrize("situation", EVERY)
def test_each_way_is_told_to_its_end(situation: Situation) -> None:
    """Or to a step that decides what follows; nothing fails on the way, and nothing goes round."""
    record, seen = situation.record, situation.seen
    if not isinstance(seen, Observation):
        return
    for _ in range(_LONGEST):
        decided = plan(record, seen, NOW, situation.own)
        if not decided.steps:
            return
        for step in decided.steps:
            assert words(step)
            found = imagined(step, record, seen, situation.own, NOW)
            assert (found is None) == isinstance(step, (*READ_ONLY, *_DECIDES)), step
            result = found or _seen(step)
            if result is None:
                return
            record, seen = fold(record, seen, step, result, NOW)
    raise AssertionError(f"no end: {decided}")


def test_no_value_of_env_is_told() -> None:
    before = PodSpec(image="a", env={"KEPT": "canary", "GONE": "canary", "OTHER": "canary"})
    after = PodSpec(image="b", env={"KEPT": "canary", "OTHER": "canary2", "NEW": "canary"}, tier="dev.large")
    told = changes(before, after)
    assert "canary" not in str(told)
    assert {each["key"]: (each["before"], each["after"]) for each in told} == {
        "image": ("a", "b"),
        "tier": ("dev.small", "dev.large"),
        "env.GONE": (MASKED, None),
        "env.NEW": (None, MASKED),
        "env.OTHER": (MASKED, MASKED),
    }


def test_every_key_of_a_spec_can_be_told() -> None:
    """A key that is declared as secret and is not told by its names would be missing: there is `env` only."""
    assert {"env"} == SECRET_FIELDS
    odd: dict[str, Any] = {
        "image": "b",
        "command": ("x",),
        "working_dir": "/x",
        "user": "u",
        "hostname": "h",
        "tier": "dev.large",
        "runtime": "r",
        "init": False,
        "stop_timeout_s": 3,
        "labels": {"a": "b"},
        "description": "d",
        "env": {"A": "b"},
    }
    told = {each["key"].partition(".")[0] for each in changes(PodSpec(image="a"), PodSpec(**odd))}
    assert told == odd.keys()
    assert told | {"ports", "restart"} == {each.name for each in fields(PodSpec)}
