"""Remote control as this worker obeys it: what would have no effect is refused."""

from collections.abc import Callable, Iterator
from typing import Any, cast
from weakref import WeakSet

from celery.worker import state as worker_state
from celery.worker.control import Panel

from worker.intake.control import NO_RATE_LIMIT, NO_TERMINATE, NO_TIME_LIMIT, ids_of, why_not_revoked

Answer = dict[str, Any]
Command = Callable[..., Answer]
_COMMANDS: Any = cast("Any", Panel).data
_CELERYS: dict[str, Any] = dict(_COMMANDS)


class SteadySet(WeakSet[Any]):
    """A set that one thread can walk through while others add to it.

    Celery's own walks expect that all requests begin in the thread that takes messages.
    """

    def __iter__(self) -> Iterator[Any]:
        """Walk through what was in it at the beginning."""
        for reference in list(cast("Any", self).data):
            request = reference()
            if request is not None:
                yield request


for _each in (worker_state.active_requests, worker_state.reserved_requests):
    # Celery's functions hold on to these very objects.
    cast("Any", _each).__class__ = SteadySet


def _command(name: str) -> Callable[[Command], Command]:
    """Replace Celery's own command of that name, and keep the description of its arguments."""

    def taken(command: Command) -> Command:
        _COMMANDS[name] = command
        return command

    return taken


@_command("revoke")
def revoke(state: Any, task_id: Any, terminate: bool = False, **kwargs: Any) -> Answer:  # noqa: FBT001, FBT002
    """Revoke tasks that no worker has taken yet."""
    ids = ids_of(task_id)
    running = {request.id for request in worker_state.active_requests}
    text = why_not_revoked(state.app, ids, terminate=terminate)
    if text is None and running.isdisjoint(ids):
        answer: Answer = _CELERYS["revoke"](state, ids, **kwargs)
        return answer
    return refused(text or NO_TERMINATE)


@_command("revoke_by_stamped_headers")
def revoke_by_stamped_headers(
    state: Any,
    headers: Any,
    terminate: bool = False,  # noqa: FBT001, FBT002
    **kwargs: Any,
) -> Answer:
    """Revoke tasks with these stamps that no worker has taken yet."""
    if terminate:
        return refused(NO_TERMINATE)
    answer: Answer = _CELERYS["revoke_by_stamped_headers"](state, headers, **kwargs)
    return answer


@_command("terminate")
def terminate(_state: Any, **_kwargs: Any) -> Answer:
    """Refuse."""
    return refused(NO_TERMINATE)


@_command("rate_limit")
def rate_limit(_state: Any, **_kwargs: Any) -> Answer:
    """Refuse."""
    return refused(NO_RATE_LIMIT)


@_command("time_limit")
def time_limit(_state: Any, **_kwargs: Any) -> Answer:
    """Refuse."""
    return refused(NO_TIME_LIMIT)


def refused(text: str) -> Answer:
    """Return an answer that Celery shows as an error."""
    return {"error": text}
