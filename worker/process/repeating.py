"""What a process does on its own: it is begun again whenever it fails, and never ends silently."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic
from typing import Any, Final, TypeVar

import stamina
import structlog

from worker.errors import PodError, RetryableError

_log: Final = structlog.get_logger(__name__)
_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 30.0

Work = Callable[[], Coroutine[Any, Any, object]]
Sleep = Callable[[float], Awaitable[None]]
_T = TypeVar("_T")


async def patiently(do: Callable[[], Awaitable[_T]]) -> _T:
    """Try until Engine and Redis answer, as long as it takes; log once what it waits for."""
    told = ""
    async for attempt in stamina.retry_context(on=RetryableError, attempts=None, timeout=None, wait_max=5.0):
        with attempt:
            try:
                return await do()
            except RetryableError as error:
                if str(error) != told:
                    told = str(error)
                    _log.warning("worker_waits", reason=told)
                raise
    raise AssertionError("unreachable: it is tried for ever")


async def kept_going(
    name: str, work: Work, *, clock: Callable[[], float] = monotonic, sleep: Sleep = asyncio.sleep
) -> None:
    """Do something until it returns, or for ever.

    Whenever it fails it is begun again, after a wait that grows, and is short again once it worked for a
    while. A known kind of failure is logged with its reason, any other with its traceback: a bug must not end
    what keeps the pods. `clock` gives seconds.
    """
    failures = 0
    while True:
        began = clock()
        try:
            await work()
        except PodError as error:
            _log.warning(f"{name}_failed", reason=str(error))
        except Exception:  # noqa: BLE001 - whatever it is, the work has to go on
            _log.exception(f"{name}_failed")
        else:
            return
        failures = 1 if clock() - began > _LONGEST_WAIT_S else failures + 1
        await sleep(min(_FIRST_WAIT_S * 2.0 ** min(failures - 1, 30), _LONGEST_WAIT_S))


async def repeatedly(
    name: str,
    once: Work,
    due: Callable[[], float],
    *,
    clock: Callable[[], float] = monotonic,
    sleep: Sleep = asyncio.sleep,
) -> None:
    """Do something for ever, whenever it is due by `clock`, in seconds.

    A known kind of failure is logged when it begins and when it ends; any other one each time.
    """
    failing = False

    async def rounds() -> None:
        nonlocal failing
        while True:
            if (early := due() - clock()) > 0:
                await sleep(early)
                continue
            try:
                await once()
            except PodError as error:
                if not failing:
                    _log.warning(f"{name}_failed", reason=str(error))
                failing = True
            else:
                if failing:
                    _log.info(f"{name}_resumed")
                failing = False

    await kept_going(name, rounds, clock=clock, sleep=sleep)
