"""What the doctor concludes from what the Engine says about itself."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from worker.cli.doctor import checks
from worker.cli.doctor.checks import Status
from worker.errors import PermanentError, PodError
from worker.interfaces import EngineInfo

INFO: Final = EngineInfo(
    name="vm",
    api_version="1.41",
    runtimes=frozenset({"runc"}),
    data_root=Path("/x"),
    storage_driver="overlay2",
)


def test_live_restore_is_warned_of() -> None:
    assert checks.live_restore(INFO).status is Status.OK
    on = checks.live_restore(replace(INFO, live_restore=True))
    assert (on.status, "daemon.json" in str(on.remedy)) == (Status.WARN, True)


UNKNOWN: Final = PermanentError("the Engine's host has no program bash")


@pytest.mark.parametrize(
    ("is_closed", "reached", "rules", "status"),
    [
        (False, (), "rules", Status.WARN),
        (True, (), None, Status.OK),
        (True, (), "rules", Status.OK),
        (True, ("10.0.0.1/9",), "rules", Status.FAIL),
        (True, UNKNOWN, "rules", Status.WARN),
    ],
    ids=["open", "no network yet", "closed", "reached", "not tried"],
)
def test_egress_is_judged_by_what_a_pod_reaches(
    is_closed: bool, reached: tuple[str, ...] | PodError, rules: str | None, status: Status
) -> None:
    check = checks.egress(is_closed=is_closed, reached=reached, rules=rules)
    assert check.status is status
    if is_closed and status is not Status.OK:
        assert check.remedy is not None
        assert "nft 'rules'" in check.remedy


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ((), "does not run"),
        (("pinacle-worker", "redis:7-bookworm"), "only by tag, which can be moved: redis:7-bookworm;"),
        (("pinacle-worker", f"redis:7@sha256:{'a' * 64}", f"sha256:{'b' * 64}"), "all by digest"),
    ],
)
def test_images_of_compose_that_are_tags_are_named(images: tuple[str, ...], said: str) -> None:
    """What compose builds itself has no digest; a tag is a choice, not a fault."""
    check = checks.image_pins(images, "pinacle-worker")
    assert (check.status, said in check.detail) == (Status.OK, True), check
