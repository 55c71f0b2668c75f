"""Sends tasks by their names and waits for their answers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, Self, overload
from uuid import uuid4

from celery import Celery
from celery.exceptions import TimeoutError as NoResultError
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from .answers import Phase, Pod
from .calls import Answer, Hosts, Pods
from .errors import NoAnswerError, NoWorkerError, StoreUnavailableError, failed, raised
from .following import PROGRESS, Change, Progress, changes, newest, news
from .names import queue_of

HEARTBEATS: Final = "pinacle:heartbeats"
HEARTBEAT_TTL_S: Final = 20.0
"""Seconds after its last heartbeat for which a worker is taken to be there: the workers' own default."""
WAIT_S: Final = 90.0
"""Longer than a worker keeps anybody waiting."""
_SOCKET_S: Final = 10.0
_LOOK_AGAIN_S: Final = 5.0
_AGAIN: Final = "send it again with the same task_id"


class Client:
    """What a program needs to have pods: calls for all tasks, their errors, the stream of changes.

    One is enough for a process; its methods may be called from several threads.
    """

    def __init__(
        self, redis_url: str, *, wait_s: float = WAIT_S, heartbeat_ttl_s: float = HEARTBEAT_TTL_S
    ) -> None:
        """`wait_s` is the longest wait for an answer, unless a call says otherwise.

        `heartbeat_ttl_s` is the workers' PINACLE_HEARTBEAT_TTL_S.
        """
        url = _checked(redis_url)
        self._wait_s = wait_s
        self._heartbeat_ttl_s = heartbeat_ttl_s
        self._app = Celery("pinacle_client", broker=url, backend=url, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={"socket_timeout": _SOCKET_S, "socket_connect_timeout": _SOCKET_S},
            redis_socket_timeout=_SOCKET_S,
            redis_socket_connect_timeout=_SOCKET_S,
            # A caller hears at once that Redis is away; the task's id makes it safe to try again.
            task_publish_retry=False,
            result_backend_transport_options={"retry_policy": {"max_retries": 0, "timeout": 1.0}},
        )
        self._redis = Redis.from_url(url, decode_responses=True, protocol=2, socket_timeout=_SOCKET_S)
        self.pods = Pods(self.call)
        self.hosts = Hosts(self.call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()
        self._app.close()

    def call(
        self,
        task: str,
        *args: Any,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        wait_s: float | None = None,
        accept_failed: bool = False,
    ) -> Answer:
        """Send a task by its name, with `args` and `kwargs`, and return its answer.

        Raises PinacleError: UnknownTaskError and NoWorkerError before anything is sent, NoAnswerError after
        `wait_s`, otherwise what the worker refused, or why the pod is `failed` unless `accept_failed`.
        """
        return self.receive(
            self.send(task, *args, kwargs=kwargs, task_id=task_id), wait_s=wait_s, accept_failed=accept_failed
        )

    def send(
        self, task: str, *args: Any, kwargs: Mapping[str, Any] | None = None, task_id: str | None = None
    ) -> str:
        """Send a task and return its id, with which `receive` gets the answer.

        Raises UnknownTaskError for a name that no task has, NoWorkerError if no worker is there to take it,
        StoreUnavailableError.
        """
        queue = queue_of(task)
        task_id = task_id or str(uuid4())
        try:
            self._check_workers(task_id)
            sent: Any = self._app.send_task(
                task, args=args, kwargs=dict(kwargs or {}), queue=queue, task_id=task_id
            )
            _forget(sent)
        except (RedisError, OperationalError, OSError) as error:
            raise StoreUnavailableError("Redis cannot be reached, or refuses", task_id=task_id) from error
        return task_id

    def receive(self, task_id: str, *, wait_s: float | None = None, accept_failed: bool = False) -> Answer:
        """Wait for the answer of a task that was sent. Raises as `call` does."""
        wait_s = self._wait_s if wait_s is None else wait_s
        result: Any = self._app.AsyncResult(task_id)
        try:
            # Ask first: if a result came while another one was waited for, `get` would wait a second more.
            result.ready()
            answer = result.get(timeout=wait_s, propagate=False)
            succeeded = result.successful()
        except NoResultError:
            raise NoAnswerError(
                f"no answer within {wait_s:g} s, and it may still be done: {_AGAIN}",
                task_id=task_id,
            ) from None
        except (RedisError, OperationalError, OSError, RuntimeError) as error:
            if not _is_of_redis(error):
                raise
            raise StoreUnavailableError(
                f"Redis went away while an answer was waited for, and it may still be done: {_AGAIN}",
                task_id=task_id,
            ) from error
        finally:
            _forget(result)
        if not succeeded:
            raise raised(answer, task_id=task_id)
        if answer.get("phase") == "failed" and not accept_failed:
            raise failed(answer, task_id=task_id)
        found: Answer = answer
        return found

    @overload
    def follow(self, *, since: str | None = None, within_s: float | None = None) -> Iterator[Change]: ...

    @overload
    def follow(
        self, *, since: str | None = None, within_s: float | None = None, progress: bool
    ) -> Iterator[Change | Progress]: ...

    def follow(
        self, *, since: str | None = None, within_s: float | None = None, progress: bool = False
    ) -> Iterator[Change | Progress] | Iterator[Change]:
        """Yield changes of all pods after the id `since`, by default from now on.

        With `progress` also how far pulls have come, from now on. It ends after `within_s` seconds, and goes
        on by itself when Redis was away. Raises StoreUnavailableError if Redis refuses.
        """
        # Read now and not when the first change is asked for: what happens in between is not to be missed.
        start = newest(self._redis) if since is None else since
        if not progress:
            return changes(self._redis, start, within_s=within_s)
        return news(self._redis, start, within_s=within_s, pulls_since=newest(self._redis, PROGRESS))

    def wait(self, pod_id: str, *phases: Phase, within_s: float) -> Pod:
        """Wait until a pod has one of the phases and return what `pods.get` says of it then.

        Raises NoAnswerError after `within_s` seconds, and why the pod is `failed`, if that is not waited for.
        """
        deadline = time.monotonic() + within_s
        while True:
            place = newest(self._redis)
            left_s = max(0.1, deadline - time.monotonic())
            answer = self.pods.get(pod_id, wait_s=left_s, accept_failed="failed" in phases)
            if answer["phase"] in phases:
                return answer
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise NoAnswerError(f"within {within_s:g} s the pod came only to {answer['phase']}")
            self._await_change(pod_id, place, min(left_s, _LOOK_AGAIN_S))

    def _await_change(self, pod_id: str, since: str, within_s: float) -> None:
        for change in changes(self._redis, since, within_s=within_s):
            if change.pod_id == pod_id or change.missed:
                return

    def _check_workers(self, task_id: str) -> None:
        """Raise NoWorkerError if no worker has a heartbeat: each reads both queues."""
        # By Redis' own time, by which heartbeats are noted.
        told: Any = self._redis.time()
        if not self._redis.zcount(HEARTBEATS, told[0] - self._heartbeat_ttl_s, "+inf"):
            raise NoWorkerError("no worker has a heartbeat, so nothing was sent", task_id=task_id)


def _checked(redis_url: str) -> str:
    """Return the URL with a check of certificates for rediss: Celery's backend wants that said."""
    if not redis_url.startswith("rediss://") or "ssl_cert_reqs=" in redis_url:
        return redis_url
    return f"{redis_url}{'&' if '?' in redis_url else '?'}ssl_cert_reqs=required"


def _is_of_redis(error: Exception) -> bool:
    """Whether Redis is away: Celery says that by a RuntimeError if it cannot connect again."""
    cause = error.__cause__ or error.__context__
    return not isinstance(error, RuntimeError) or isinstance(cause, RedisError | OSError)


def _forget(result: Any) -> None:
    """Unsubscribe from a result now: Celery does it when the object is collected, when Redis may be away."""
    backend, result.backend = result.backend, None
    # A RuntimeError is Celery's own when Redis is away.
    with suppress(RedisError, OSError, RuntimeError):
        backend.remove_pending_result(result)
