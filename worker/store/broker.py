"""Broker and results on a Redis that at times refuses to write: the same to Celery as one that is away.

Celery ends its consumer, and with it the worker's process, at an answer it has no plan for. It has one for a
lost connection: wait with back-off, connect again, go on.
"""

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast

import redis
import structlog
from celery.backends.redis import RedisBackend
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from worker.store import keys
from worker.store.refusals import refusal

if TYPE_CHECKING:
    Answering = redis.Connection
else:
    Answering = object

_log: Final = structlog.get_logger(__name__)


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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parameters = cast("Any", self).connparams
        is_secure = issubclass(parameters.get("connection_class", object), redis.SSLConnection)
        parameters["connection_class"] = SSLConnection if is_secure else Connection


class Taken(NamedTuple):
    """A message that is in no queue, and where it came from."""

    raw: dict[str, Any]
    exchange: str
    routing_key: str


class _QoS(kombu_redis.QoS):
    """Keeps a message that was taken but could not be noted as taken."""

    def append(self, message: Any, delivery_tag: str) -> None:
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
