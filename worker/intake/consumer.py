"""Checks what arrives in the queues before Celery takes it: nothing that anybody sends ends a worker."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from celery.exceptions import NotRegistered
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer

from worker.errors import ErrorKind, InvalidInputError, described
from worker.intake.messages import body_problem, head_problem, task_id
from worker.quoting import shown

if TYPE_CHECKING:
    _Base = object
else:
    _Base = Consumer

_log: Final = structlog.get_logger(__name__)
_celerys: Final = get_logger(__name__)


class StrictConsumer(_Base):
    """Celery's consumer of messages. What it cannot take is rejected for good; its log line has no body."""

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        handle = cast("Any", super()).create_task_handler(*args, **kwargs)
        connection_errors: tuple[type[Exception], ...] = cast("Any", self).connection_errors

        def on_task_received(message: Any) -> None:
            problem = _problem(message)
            if problem is not None:
                self._refuse(message, InvalidInputError(problem))
                return
            try:
                handle(message)
            except connection_errors:
                raise
            except Exception as error:  # noqa: BLE001 - one message is not to end the work on all others
                self._refuse(
                    message, InvalidInputError(f"message: {type(error).__name__} where it was taken")
                )

        return on_task_received

    def on_unknown_task(self, _body: Any, message: Any, _error: Exception) -> None:
        """Refuse a task that does not exist."""
        name = shown(message.headers["task"])
        told = described(ErrorKind.UNKNOWN_TASK, f"there is no task {name}; allowed: those in docs/tasks.md")
        self._refuse(message, NotRegistered(name, told))

    def on_invalid_task(self, _body: Any, message: Any, error: Exception) -> None:
        """Refuse what Celery itself finds fault with. Its words are not used, as they may quote a value."""
        self._refuse(
            message, InvalidInputError(f"message: {type(error).__name__}, such as an eta that is none")
        )

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        self._refuse(message, InvalidInputError("message: not one of Celery's message protocol 2"))

    def on_decode_error(self, message: Any, error: Exception) -> None:
        """Refuse what could not be read. Only our own words are used, as others may quote it."""
        ours = isinstance(error, InvalidInputError)
        said = str(error) if ours else f"message: {type(error).__name__} where it was read"
        self._refuse(message, InvalidInputError(said))

    def _refuse(self, message: Any, error: Exception) -> None:
        inner = cast("Any", self)
        known = task_id(message.headers)
        _log.error("message_refused", task_id=known, reason=str(error), bytes=len(message.body or b""))
        if not message.acknowledged:
            message.reject_log_error(_celerys, inner.connection_errors)
        if known is not None:
            inner.app.backend.mark_as_failure(known, error)


def _problem(message: Any) -> str | None:
    return head_problem(
        message.headers, message.properties, message.content_type, message.content_encoding
    ) or body_problem(message.body)
