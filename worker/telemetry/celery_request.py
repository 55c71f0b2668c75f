"""How this worker shows its tasks to others: never with a value of `env`."""

from typing import Any, cast

from celery.worker.request import Request

from config.queues import ACCEPTED
from worker.telemetry.redaction import redacted_arguments


class RedactedRequest(Request):
    """Celery's request of a task, whose arguments are redacted wherever others see them.

    Celery sends these representations in worker events (Flower gets them from there), answers `inspect` with
    them, and logs them with failures. The task itself gets its arguments as they were sent.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Celery has no other place for this; the names are not in its published types.
        inner = cast("Any", self)
        inner._argsrepr, inner._kwargsrepr = redacted_arguments(inner._args, inner._kwargs)  # noqa: SLF001
        inner._request_dict.update(  # noqa: SLF001
            argsrepr=inner._argsrepr,  # noqa: SLF001
            kwargsrepr=inner._kwargsrepr,  # noqa: SLF001
            # For a task that has to move its message to another host.
            pinacle_message=inner.message,
        )

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """Return what `inspect` shows. Celery would return the arguments themselves unless `safe` is set."""
        return super().info(safe=True)

    def revoked(self) -> bool:
        """Return whether it has expired or was revoked. Neither counts once its intent is accepted."""
        if cast("Any", self)._request_dict.get(ACCEPTED):  # noqa: SLF001
            return False
        return bool(super().revoked())
