"""What the doctor makes of records: pods in trouble, and what another version wrote."""

from typing import Any, Final

import pytest

from worker.cli.doctor import pod_checks
from worker.cli.doctor.checks import Status
from worker.pods.model import INTENT, Intent, IntentKind, Phase, PodState, Record, Unreadable

NOW: Final = 10_000.0


def record(pod_id: str, phase: Phase, *, reason: str | None = None, **intent: Any) -> Record:
    return Record(
        pod_id=pod_id,
        host="here",
        intent=Intent(kind=IntentKind.RUNNING, generation=1, spec=None, **{"accepted_at": NOW - 5, **intent}),
        state=PodState(phase=phase, reason=reason),
    )


def found(*records: Record) -> dict[str, Record]:
    return {each.pod_id: each for each in records}


def test_pods_that_are_as_they_should_be_are_counted() -> None:
    check = pod_checks.pods(
        found(
            record("a", Phase.RUNNING),
            record("b", Phase.RUNNING),
            record("c", Phase.STOPPED),
            record("d", Phase.PENDING),
            record("gone", Phase.DELETED),
        ),
        NOW,
    )
    assert (check.status, check.detail) == (Status.OK, "1 pending, 2 running, 1 stopped")
    assert pod_checks.pods({}, NOW).detail == "none"


@pytest.mark.parametrize(
    ("phase", "status"),
    [(Phase.STORAGE_MISSING, Status.FAIL), (Phase.FAILED, Status.WARN), (Phase.BACKOFF, Status.WARN)],
)
def test_a_pod_in_trouble_is_named_with_the_reason(phase: Phase, status: Status) -> None:
    check = pod_checks.pods(found(record("well", Phase.RUNNING), record("ill", phase, reason="why")), NOW)
    assert check.status is status
    assert check.detail == f"1 running, 1 {phase}. In trouble: ill is {phase}: why"
    assert check.remedy is not None
    assert "pinacle pods get ill" in check.remedy


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.DELETING])
def test_a_pod_that_is_on_its_way_for_long_is_named(phase: Phase) -> None:
    late = record("late", phase, accepted_at=NOW - pod_checks.LONG_S - 1)
    assert pod_checks.pods(found(late), NOW).status is Status.WARN
    assert pod_checks.pods(found(record("soon", phase)), NOW).status is Status.OK


def test_the_worst_come_first_and_only_some_are_named() -> None:
    many = [record(f"f{number}", Phase.FAILED, reason="x" * 1000) for number in range(9)]
    check = pod_checks.pods(found(*many, record("lost", Phase.STORAGE_MISSING)), NOW)
    assert check.detail.partition("In trouble: ")[2].startswith(
        "lost is storage_missing: it does not say why"
    )
    assert check.detail.endswith("...; and 5 more")
    assert len(check.detail) < 1500


def test_records_that_cannot_be_read_are_named() -> None:
    broken = record("broken", Phase.FAILED).evolve(
        unreadable=Unreadable(reason="state.phase: what", only_spec=False)
    )
    check = pod_checks.records(found(record("a", Phase.RUNNING), broken))
    assert check.status is Status.FAIL
    assert check.detail == "1 cannot be read: broken. state.phase: what"
    assert pod_checks.pods(found(broken), NOW).status is Status.OK, "it is said once"


def test_records_that_a_newer_worker_wrote_are_named_with_what_is_new() -> None:
    plain = {"kind": "running", "generation": 1, "spec": None, "image": None, "of_tomorrow": 1}
    image = {"reference": "a", "id": "b", "deep": True}
    newer = record("newer", Phase.RUNNING).evolve(intent=INTENT.validate_python({**plain, "image": image}))
    check = pod_checks.records(found(record("a", Phase.RUNNING), newer))
    assert check.status is Status.WARN
    assert "1 have what this version does not know (deep, of_tomorrow): newer" in check.detail
    assert pod_checks.records(found(record("a", Phase.RUNNING))).status is Status.OK
