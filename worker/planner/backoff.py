"""How long to wait before trying again. Pure: the jitter comes from the pod's own name, not from chance."""

from typing import Final
from zlib import crc32

from worker.errors import ErrorKind
from worker.pods.model import Crash, IntentKind, Record
from worker.pods.observation import Exit

FIRST_CRASH_DELAY_S: Final = 1.0
LONGEST_CRASH_DELAY_S: Final = 300.0
STABLE_AFTER_S: Final = 600.0
"""A container that ran this long had not crashed in a loop: its end counts as the first."""
FIRST_ERROR_DELAY_S: Final = 0.5
LONGEST_ERROR_DELAY_S: Final = 30.0
AT_ONCE_S: Final = 5.0
"""A container that ran no longer than this hardly began; starting may be slow on a busy host."""
_SPREAD: Final = 0.5
_UNKNOWN_CODE: Final = 255
"""The code that Docker gives to a container whose end it did not see."""
FAILED_DELAY_S: Final = 300.0
"""What failed for good is looked at again after this time: somebody may have fixed it meanwhile."""


def crash_delay(count: int, pod_id: str) -> float:
    """Return seconds to wait before the start after the `count`-th crash in a row; 0 after the first."""
    if count <= 1:
        return 0.0
    return _jittered(
        min(FIRST_CRASH_DELAY_S * 2.0 ** min(count - 2, 30), LONGEST_CRASH_DELAY_S), pod_id, count
    )


def error_delay(errors: int, pod_id: str, *, given: float = 0.0) -> float:
    """Return seconds to wait after the `errors`-th failed attempt in a row.

    An error may bring a delay, `given`. It is the shortest: many pods that wait for one registry take turns
    ever more slowly.
    """
    exponent = min(max(errors, 1) - 1, 30)
    delay = _jittered(min(FIRST_ERROR_DELAY_S * 2.0**exponent, LONGEST_ERROR_DELAY_S), pod_id, errors)
    return max(delay, given * (1.0 + _SPREAD * _chance(pod_id, errors)))


def leaves_to_time(record: Record, now: float) -> bool:
    """Whether a pass leaves a pod alone until its next try: what a pass finds out changes no registry.

    Otherwise each pass would send all pods that wait for one registry to the Engine in the same moment.
    """
    if record.intent.kind is not IntentKind.RUNNING or record.purging:
        return False
    state = record.state
    is_due_now = is_due(state.retry_at, now, longest=LONGEST_ERROR_DELAY_S)
    return state.kind == ErrorKind.REGISTRY_UNAVAILABLE and not is_due_now


def next_crash(previous: Crash | None, exited: Exit, *, run: int, pod_id: str, now: float) -> Crash:
    """Return the note about a container that ended unexpectedly just now."""
    ran_s = exited.finished_at - exited.started_at
    was_stable = ran_s >= STABLE_AFTER_S
    count = 1 if previous is None or was_stable else previous.count + 1
    return Crash(
        run=run,
        count=count,
        exit_code=exited.code,
        oom_killed=exited.oom_killed,
        next_try_at=now + crash_delay(count, pod_id),
        at_once=ran_s <= AT_ONCE_S,
    )


def lost_crash(*, run: int, now: float) -> Crash:
    """Return the note about a container that is gone, whose end nobody saw."""
    return Crash(run=run, count=1, exit_code=_UNKNOWN_CODE, oom_killed=False, next_try_at=now, known=False)


def is_due(at: float, now: float, *, longest: float) -> bool:
    """Whether `at` has come; also when it lies further ahead than any delay, as after a clock's jump back."""
    return at <= now or at - now > 2 * longest


def _jittered(delay: float, pod_id: str, count: int) -> float:
    """Spread over 75 % to 125 %, so that pods which failed together do not come back together."""
    return delay * (1.0 - _SPREAD / 2 + _SPREAD * _chance(pod_id, count))


def _chance(pod_id: str, count: int) -> float:
    """Return a number from 0 to 1."""
    return crc32(f"{pod_id}:{count}".encode()) / 2**32
