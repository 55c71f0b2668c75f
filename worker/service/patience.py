"""Lets callers wait, rather than refusing them, while Engine or Redis do not answer."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import stamina

from worker.errors import (
    EngineUnavailableError,
    GenerationConflictError,
    ObjectMissingError,
    OutcomeUnknownError,
    PodNotFoundError,
    StoreUnavailableError,
)
from worker.interfaces import Store
from worker.pods.model import Record
from worker.reconcile.dispatcher import Dispatcher

_PASSING: Final = (
    EngineUnavailableError,
    OutcomeUnknownError,
    StoreUnavailableError,
    GenerationConflictError,
)
"""Errors after which it is worth trying again while the caller waits anyway."""
_T = TypeVar("_T")


class Patience:
    """Tries again as long as a task may take, but no more once the process is about to end."""

    def __init__(self, *, dispatcher: Dispatcher, task_wait_s: float) -> None:
        """`task_wait_s` is how long a task may take, in seconds."""
        self._dispatcher = dispatcher
        self._task_wait_s = task_wait_s

    async def until_answered(self, do: Callable[[], Awaitable[_T]], *, looks: bool = False) -> _T:
        """Try with back-off until Engine and Redis answer. Raises what the last try raised.

        With `looks` each try looks at what there is: what it saw may be gone a moment later, as when another
        caller has changed the pod, and then there is something else to see.
        """
        passing = (*_PASSING, ObjectMissingError) if looks else _PASSING
        async for attempt in stamina.retry_context(
            on=lambda error: self._is_passing(error, passing),
            attempts=None,
            timeout=self._task_wait_s,
            wait_initial=0.05,
            wait_max=2.0,
        ):
            with attempt:
                return await do()
        raise AssertionError("unreachable: the last attempt raises")

    def _is_passing(self, error: Exception, passing: tuple[type[Exception], ...]) -> bool:
        return isinstance(error, passing) and not self._dispatcher.draining


async def load_pod(store: Store, pod_id: str) -> Record:
    """Return a pod's record, or the tombstone of one. Raises PodNotFoundError."""
    record = await store.load(pod_id)
    if record is None:
        raise no_pod(pod_id)
    return record


def no_pod(pod_id: str) -> PodNotFoundError:
    return PodNotFoundError(f"pod_id: pod {pod_id!r} does not exist; allowed: an id that pods.list shows")
