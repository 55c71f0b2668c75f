"""How long a pod waits after a crash: at once, then 1 s doubling to 5 min, again after 10 min up."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import ErrorKind
from worker.planner.backoff import (
    LONGEST_CRASH_DELAY_S,
    crash_delay,
    error_delay,
    is_due,
    leaves_to_time,
    lost_crash,
    next_crash,
)
from worker.planner.exit_reason import ending
from worker.pods.model import Crash, Intent, IntentKind, PodState, Record
from worker.pods.observation import Exit
from worker.pods.spec import PodSpec


@pytest.mark.parametrize(
    ("count", "seconds"), [(1, 0), (2, 1), (3, 2), (4, 4), (10, 256), (11, 300), (99, 300)]
)
def test_the_delay_doubles_up_to_five_minutes(count: int, seconds: float) -> None:
    """Plus or minus a quarter."""
    assert 0.75 * seconds <= crash_delay(count, "pod") <= 1.25 * seconds


def test_pods_that_crashed_together_do_not_come_back_together() -> None:
    delays = {crash_delay(8, f"pod-{number}") for number in range(100)}
    assert len(delays) == 100
    assert max(delays) - min(delays) > 0.4 * 64


@pytest.mark.parametrize(
    ("errors", "seconds"), [(0, 0.5), (1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (99, 30)]
)
def test_the_delay_after_errors_doubles_up_to_half_a_minute(errors: int, seconds: float) -> None:
    """Plus or minus a quarter, which differs from pod to pod and from try to try."""
    delays = {error_delay(errors, f"pod-{number}") for number in range(100)}
    assert all(0.75 * seconds <= delay <= 1.25 * seconds for delay in delays)
    assert len(delays) == 100
    assert error_delay(98, "pod") != error_delay(99, "pod")
    assert crash_delay(98, "pod") != crash_delay(99, "pod")


def test_pods_that_got_the_same_delay_do_not_come_back_together() -> None:
    """As from a registry that does not answer; it is never shorter than what was given."""
    delays = {error_delay(1, f"pod-{number}", given=10.0) for number in range(100)}
    assert all(10.0 <= delay <= 15.0 for delay in delays)
    assert max(delays) - min(delays) > 4.0
    assert len(delays) == 100


@pytest.mark.parametrize(
    ("kind", "retry_in_s", "intent", "is_left"),
    [
        (ErrorKind.REGISTRY_UNAVAILABLE, 10.0, IntentKind.RUNNING, True),
        (ErrorKind.REGISTRY_UNAVAILABLE, 0.0, IntentKind.RUNNING, False),
        (ErrorKind.REGISTRY_UNAVAILABLE, -10.0, IntentKind.RUNNING, False),
        (ErrorKind.REGISTRY_UNAVAILABLE, 9999.0, IntentKind.RUNNING, False),
        (ErrorKind.REGISTRY_UNAVAILABLE, 10.0, IntentKind.STOPPED, False),
        (ErrorKind.REGISTRY_UNAVAILABLE, 10.0, IntentKind.DELETED, False),
        (ErrorKind.ENGINE_UNAVAILABLE, 10.0, IntentKind.RUNNING, False),
        (ErrorKind.HOST_FULL, 10.0, IntentKind.RUNNING, False),
        (None, 10.0, IntentKind.RUNNING, False),
    ],
)
def test_a_pass_hurries_every_try_but_those_of_registries(
    kind: ErrorKind | None, retry_in_s: float, intent: IntentKind, is_left: bool
) -> None:
    """A pass comes when the Engine is back; a time too far ahead is a clock that jumped back."""
    state = PodState(kind=kind, errors=1, retry_at=1000.0 + retry_in_s)
    asked = Intent(kind=intent, generation=1, spec=PodSpec(image="i"))
    record = Record(pod_id="p", host="h", intent=asked, state=state)
    assert leaves_to_time(record, now=1000.0) is is_left


@given(st.integers(0, 10**6))
def test_an_error_is_tried_again_within_a_minute(errors: int) -> None:
    assert 0 < error_delay(errors, "pod") <= 37.5


def test_ten_minutes_up_make_the_next_crash_the_first() -> None:
    before = Crash(run=4, count=9, exit_code=1, oom_killed=False, next_try_at=0)
    brief = Exit(code=2, oom_killed=True, started_at=1000, finished_at=1599)
    stable = Exit(code=2, oom_killed=True, started_at=1000, finished_at=1600)
    assert next_crash(before, brief, run=5, pod_id="p", now=2000).count == 10
    first = next_crash(before, stable, run=5, pod_id="p", now=2000)
    assert (first.count, first.next_try_at, first.exit_code, first.oom_killed) == (1, 2000, 2, True)


@pytest.mark.parametrize(("ran_s", "at_once"), [(0, True), (5, True), (5.1, False)])
def test_a_crash_notes_whether_it_had_hardly_begun_and_waits_from_now_on(ran_s: float, at_once: bool) -> None:
    before = Crash(run=4, count=3, exit_code=1, oom_killed=False, next_try_at=0)
    exited = Exit(code=2, oom_killed=False, started_at=1000, finished_at=1000 + ran_s)
    noted = next_crash(before, exited, run=5, pod_id="p", now=2000)
    assert noted == Crash(
        run=5,
        count=4,
        exit_code=2,
        oom_killed=False,
        next_try_at=2000 + crash_delay(4, "p"),
        at_once=at_once,
    )


def test_an_end_that_nobody_saw_is_noted_as_such() -> None:
    """With Docker's exit code for that, and tried again at once if it may run again."""
    assert lost_crash(run=5, now=2000) == Crash(
        run=5, count=1, exit_code=255, oom_killed=False, next_try_at=2000, known=False
    )


def test_a_time_that_lies_too_far_ahead_is_a_clock_that_jumped_back() -> None:
    assert is_due(100, 100, longest=LONGEST_CRASH_DELAY_S)
    assert not is_due(101, 100, longest=LONGEST_CRASH_DELAY_S)
    assert is_due(10**6, 100, longest=LONGEST_CRASH_DELAY_S)
    assert not is_due(100 + 2 * LONGEST_CRASH_DELAY_S, 100, longest=LONGEST_CRASH_DELAY_S)
    assert is_due(101 + 2 * LONGEST_CRASH_DELAY_S, 100, longest=LONGEST_CRASH_DELAY_S)


SMALL: Final = PodSpec(image="image")


@pytest.mark.parametrize(
    ("count", "code", "oom_killed", "spec", "text"),
    [
        (1, 1, False, SMALL, "exit code 1"),
        (1, 137, False, SMALL, "exit code 137 (SIGKILL)"),
        (2, 139, False, None, "exit code 139 (SIGSEGV), 2 times in a row"),
        (1, 255, False, SMALL, "exit code 255"),
        (1, 128, False, SMALL, "exit code 128"),
        (
            3,
            137,
            True,
            SMALL,
            "exit code 137 (SIGKILL), out of memory (dev.small has 2 GiB), 3 times in a row",
        ),
        (1, 1, True, None, "exit code 1, out of memory"),
        (1, 1, True, PodSpec(image="image", tier="dev.gone"), "exit code 1, out of memory"),
    ],
)
def test_an_end_is_reported_with_what_is_known_of_it(
    count: int, code: int, oom_killed: bool, spec: PodSpec | None, text: str
) -> None:
    crash = Crash(run=1, count=count, exit_code=code, oom_killed=oom_killed, next_try_at=0.0)
    assert ending(crash, spec) == f"it ended by itself with {text}"
