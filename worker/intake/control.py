"""Remote control as programs with our app send it: what no worker can do is refused before it is sent."""

from collections.abc import Iterable
from typing import Any, Final

from celery import Celery, states
from celery.app.control import Control

from worker.errors import ErrorKind, PermanentError

NO_TERMINATE: Final = (
    "a pod task that has begun cannot be terminated: its intent is recorded and is carried out in any case; "
    "allowed: revoke without terminate, for a task that no worker has taken yet; or another task that asks "
    "for what you want instead, such as pods.stop"
)
NO_RATE_LIMIT: Final = (
    "rate limits are not supported: messages that wait for one would take the places of all other tasks; "
    "allowed: to send fewer"
)
NO_TIME_LIMIT: Final = (
    "time limits are not supported: tasks run in threads, which nothing can interrupt; allowed: "
    "PINACLE_TASK_WAIT_S, which bounds how long a task waits before it answers"
)


class ControlRefusedError(PermanentError):
    """No worker does what was asked for by remote control."""

    kind = ErrorKind.CONTROL_REFUSED


class PodControl(Control):
    """Celery's remote control, without what would have no effect."""

    def revoke(self, task_id: Any, *args: Any, terminate: bool = False, **kwargs: Any) -> Any:
        """Revoke tasks that no worker has taken yet. Raises ControlRefusedError for any other."""
        text = why_not_revoked(self.app, ids_of(task_id), terminate=terminate)
        if text is not None:
            raise ControlRefusedError(text)
        return super().revoke(task_id, *args, **kwargs)

    def terminate(self, *_args: Any, **_kwargs: Any) -> Any:
        """Raise ControlRefusedError."""
        raise ControlRefusedError(NO_TERMINATE)


def ids_of(task_id: Any) -> list[str]:
    return [task_id] if isinstance(task_id, str) else [str(each) for each in task_id or ()]


def why_not_revoked(app: Celery, task_ids: Iterable[str], *, terminate: bool = False) -> str | None:
    """Return why not all of these tasks can be revoked; None if they can."""
    if terminate:
        return NO_TERMINATE
    found = {task_id: app.AsyncResult(task_id).state for task_id in task_ids}
    begun = [task_id for task_id, state in found.items() if state not in (states.PENDING, states.REVOKED)]
    if not begun:
        return None
    return (
        f"nothing was revoked, as a worker has begun with {', '.join(begun)}; allowed: tasks that no worker "
        "has taken yet"
    )
