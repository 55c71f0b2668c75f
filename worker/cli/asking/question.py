"""Puts a question to a worker without Celery, which takes longer to load than a worker takes to answer."""

from typing import Any, Final

from config.queues import queue_of
from config.settings import settings
from worker.cli.asking.calls import NO_WORKER, Call, unanswered
from worker.cli.exits import EndingError, Exit
from worker.cli.records import NEXT
from worker.cli.screen import live
from worker.errors import StoreUnavailableError
from worker.store.questions import NoAnswerError, Questions

_SUCCESS: Final = "SUCCESS"


def put(wanted: Call) -> Any:
    """Return the answer to a task that only reads. Raises EndingError, as `worker.cli.asking.calls.call`."""
    known = settings()
    timeout_s = wanted.timeout_s or known.visibility_timeout_s
    try:
        with (
            live(wanted.name) as _,
            Questions(known.redis_address, socket_timeout_s=known.redis_timeout_s) as questions,
        ):
            if not any(age <= known.heartbeat_ttl_s for age in questions.heartbeat_ages()):
                raise EndingError(Exit.NOBODY, NO_WORKER)
            state, answer = questions.ask(
                wanted.name,
                wanted.args,
                wanted.kwargs or {},
                queue=queue_of(wanted.name),
                timeout_s=timeout_s,
            )
    except NoAnswerError:
        raise EndingError(Exit.NOBODY, unanswered(timeout_s)) from None
    except StoreUnavailableError as error:
        raise EndingError(Exit.NOBODY, f"{str(error).rstrip('.')}. {NEXT}") from error
    except KeyboardInterrupt:
        raise EndingError(Exit.INTERRUPTED, "interrupted: what was sent is done anyway") from None
    if state == _SUCCESS:
        return answer
    from worker.cli.asking.sending import refused  # noqa: PLC0415 - as in worker.cli.__init__

    raise refused(answer)
