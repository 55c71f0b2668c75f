"""Broker and results on a Redis that at times refuses to write: the same to Celery as one that is away.

Celery ends its consumer, and with it the worker's process, at an answer it has no plan for. It has one for a
lost connection: wait with back-off, connect again, go on.
"""

from base64 import b64decode
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast
from uuid import uuid4

import redis
import structlog
from celery.backends.redis import RedisBackend
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from config.celery import QUESTIONS
from worker.errors import InvalidInputError
from worker.store import keys
from worker.store.refusals import refusal

if TYPE_CHECKING:
    Answering = redis.Connection
else:
    Answering = object

_log: Final = structlog.get_logger(__name__)


_ANSWER_S: Final = 300
"""For how long the answer to a question is kept, in seconds."""


_HELD_BYTES: Final = 16 * 10**6
"""Bodies of the messages that were taken and not answered yet; in memory each is there several times."""


class RefusedError(RedisConnectionError):
    """Redis is there, and refuses for a while what it is told."""


class _Refusing(Answering):
    """Makes a refusal a lost connection; after a failover the next one may reach another server."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as error:
            remedy = refusal(error)
            if remedy is None:
                raise
            cast("Any", self).disconnect()
            raise RefusedError(f"{remedy} ({error})") from error


class Connection(_Refusing, redis.Connection):
    """A connection in clear."""


class SSLConnection(_Refusing, redis.SSLConnection):
    """A connection by TLS."""


class ResultBackend(RedisBackend):
    """Tries again for as long as results are refused, as it does while Redis is away."""

    connection_class_ssl = SSLConnection
    _short_lived: ClassVar[ContextVar[bool]] = ContextVar("short_lived", default=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parameters = cast("Any", self).connparams
        is_secure = issubclass(parameters.get("connection_class", object), redis.SSLConnection)
        parameters["connection_class"] = SSLConnection if is_secure else Connection

    def _store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Keep the answer to a question, and what is said of a message that was refused, for minutes only."""
        request = kwargs.get("request")
        token = self._short_lived.set(request is None or getattr(request, "task", None) in QUESTIONS)
        try:
            return cast("Any", super())._store_result(task_id, result, state, *args, **kwargs)  # noqa: SLF001
        finally:
            self._short_lived.reset(token)

    def _set(self, key: Any, value: Any) -> None:
        inner = cast("Any", self)
        seconds = min(_ANSWER_S, inner.expires) if self._short_lived.get() else inner.expires
        with inner.client.pipeline() as pipe:
            pipe.setex(key, seconds, value)
            pipe.publish(key, value)
            pipe.execute()


class Taken(NamedTuple):
    """A message that is in no queue, and where it came from."""

    raw: dict[str, Any]
    exchange: str
    routing_key: str


class Message(virtual.Message):
    """A message as it arrived; where that cannot be read, an empty one with the reason among its `errors`.

    kombu would raise where nothing catches it, and decompress before anybody looked at what it is.
    """

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        problem = _properties_problem(payload) or _content_problem(payload)
        super().__init__(payload if problem is None else _empty(payload), channel=channel, **kwargs)
        if problem is not None:
            cast("Any", self).errors.append((InvalidInputError, InvalidInputError(problem), None))


def _properties_problem(payload: Any) -> str | None:
    """Return what is wrong with what kombu itself needs of what was in the queue."""
    if not isinstance(payload, dict) or not isinstance(payload.get("properties"), dict):
        return "message: allowed: an object with properties, as kombu writes it"
    properties = payload["properties"]
    where = properties.get("delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(where, dict):
        return "properties: without delivery_tag or delivery_info; allowed: as kombu writes them"
    if not all(isinstance(where.get(key), str) for key in ("exchange", "routing_key")):
        return "properties.delivery_info: without exchange or routing_key; allowed: as kombu writes it"
    return None


def _content_problem(payload: dict[str, Any]) -> str | None:
    headers, body = payload.get("headers"), payload.get("body")
    encoding = payload["properties"].get("body_encoding")
    if not isinstance(headers, dict):
        return "headers: allowed: an object"
    if headers.get("compression") is not None:
        return "headers.compression: is not taken; allowed: messages as they are"
    if not isinstance(body, str):
        return "body: allowed: a string"
    if encoding not in (None, "base64"):
        return "properties.body_encoding: allowed: base64, or none"
    return None if encoding is None or _is_base64(body) else "body: is not base64, as body_encoding says"


def _is_base64(body: str) -> bool:
    try:
        b64decode(body)
    except ValueError:
        return False
    return True


def _empty(payload: Any) -> dict[str, Any]:
    """Return a message that can be noted as taken and rejected, under its id if it has one."""
    headers = payload.get("headers") if isinstance(payload, dict) else None
    known = {"id": headers.get("id")} if isinstance(headers, dict) else {}
    where = {"exchange": "", "routing_key": ""}
    properties = {"delivery_tag": str(uuid4()), "delivery_info": where}
    return {"body": "", "headers": known, "properties": properties}


class _QoS(kombu_redis.QoS):
    """Keeps a message that was taken but could not be noted as taken."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sizes: dict[str, int] = {}
        """Length of the body of each message that is held."""

    def can_consume(self) -> bool:
        """Whether there is room for one more, by number and by size."""
        return sum(list(self._sizes.values())) < _HELD_BYTES and bool(super().can_consume())

    def ack(self, delivery_tag: str) -> None:
        self._sizes.pop(delivery_tag, None)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        self._sizes.pop(delivery_tag, None)
        super().reject(delivery_tag, requeue=requeue)

    def append(self, message: Any, delivery_tag: str) -> None:
        self._sizes[delivery_tag] = len(message.body or "")
        try:
            super().append(message, delivery_tag)
        except cast("Any", self.channel).connection_errors:
            # It is in no queue any more. If it was noted after all it comes twice, which is harmless.
            where = message.delivery_info
            Channel.taken.append(
                Taken(message._raw, where["exchange"], where["routing_key"])  # noqa: SLF001
            )
            _log.warning("message_kept", task_id=(message.headers or {}).get("id"))
            raise


class Channel(kombu_redis.Channel):
    """A channel that opens only where Redis can be written to."""

    QoS = _QoS
    Message = Message
    connection_class = Connection
    connection_class_ssl = SSLConnection
    taken: ClassVar[deque[Taken]] = deque()
    """Messages of this process that wait for a Redis that takes them back: the next channel gives them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            # Changes nothing, and is refused whenever a write would be.
            self.client.lpushx(keys.PROBE, "")
            self._put_back()
        except BaseException:
            self.close()
            raise

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return cast("Any", super())._brpop_read(**options)  # noqa: SLF001
        except (ValueError, RecursionError) as error:
            # It has left its queue already, and nobody can be told under which id. A trace would quote it.
            reason = f"message: {type(error).__name__}: is not JSON"
            _log.error("message_refused", task_id=None, reason=reason)
            return True

    def _put_back(self) -> None:
        inner = cast("Any", self)
        while self.taken:
            one = self.taken.popleft()
            try:
                with inner.conn_or_acquire() as client:
                    inner._do_restore_message(one.raw, one.exchange, one.routing_key, client)  # noqa: SLF001
            except inner.connection_errors:
                self.taken.appendleft(one)
                raise


class Transport(kombu_redis.Transport):
    """kombu's transport over Redis, with these channels."""

    Channel = Channel
