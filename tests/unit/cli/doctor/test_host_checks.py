"""Clocks, limits and variables of a host."""

import pytest

from worker.cli.doctor import host_checks
from worker.cli.doctor.checks import Status

AT = 1_795_773_723.5


@pytest.mark.parametrize(
    ("said", "before", "after", "status"),
    [
        ("2026-11-27T10:02:03.500000001Z", AT - 0.1, AT + 0.1, Status.OK),
        ("2026-11-27T11:02:03.5+01:00", AT - 0.1, AT + 0.1, Status.OK),
        # It took long to answer.
        ("2026-11-27T10:02:03.5Z", AT - 30, AT + 1, Status.OK),
        ("2026-11-27T10:02:03.5Z", AT + 60, AT + 61, Status.WARN),
        ("2026-11-27T10:02:03.5Z", AT - 61, AT - 60, Status.WARN),
        ("", AT, AT, Status.OK),
    ],
)
def test_the_engines_clock_is_compared_with_this_machines(
    said: str, before: float, after: float, status: Status
) -> None:
    assert host_checks.engines_clock(said, before, after).status is status


def test_how_far_the_engines_clock_is_off_is_said() -> None:
    assert "60.0 s" in host_checks.engines_clock("2026-11-27T10:02:03.5Z", AT + 60, AT + 61).detail


def test_a_clock_that_nobody_keeps_is_warned_of() -> None:
    assert [host_checks.ntp(is_kept).status for is_kept in (True, None, False)] == [
        Status.OK,
        Status.OK,
        Status.WARN,
    ]


def test_the_kernel_says_whether_its_clock_is_kept() -> None:
    """Or that it does not say; asking changes nothing, and needs no right."""
    assert host_checks.is_clock_kept() in {True, False, None}


def test_limits_that_the_engine_lacks_are_named() -> None:
    assert host_checks.limits(()).status is Status.OK
    check = host_checks.limits({"memory", "CPU"})
    assert (check.status, "cannot limit CPU, memory" in check.detail) == (Status.WARN, True)


def test_variables_that_are_no_settings_are_named() -> None:
    assert host_checks.variables(()).status is Status.OK
    check = host_checks.variables(("PINACLE_POOL",))
    assert (check.status, "PINACLE_POOL" in check.detail) == (Status.WARN, True)
