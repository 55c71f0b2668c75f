"""Waits for a condition, with a deadline."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final

_LOOK_EVERY_S: Final = 0.05


def wait_until(
    condition: Callable[[], bool],
    timeout_s: float,
    *,
    what: str,
    failed: Callable[[], str | None] = lambda: None,
) -> None:
    """Return once `condition` is true; it is checked 20 times a second.

    Raises TimeoutError if that takes longer than `timeout_s`, or as soon as `failed` says why it never will.
    """
    deadline = monotonic() + timeout_s
    while not condition():
        reason = failed()
        if reason is not None or monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout_s:g} s" if reason is None else reason)
        sleep(_LOOK_EVERY_S)
