"""Broker and results on a Redis that sometimes refuses to write: Celery sees that as a lost connection.

Celery ends its consumer, and with it the worker's process, at an answer that it does not expect. For a lost
connection it has a plan: wait with back-off, connect again, go on.
"""

from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, cast
from uuid import uuid4

import redis
import structlog
from celery.backends.redis import RedisBackend
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from config.queues import ENDINGS, LARGEST_BODY, LOOKS, QUESTIONS, most_held
from worker.errors import InvalidInputError
from worker.store import keys, scripts
from worker.store.refusals import refusal
from worker.store.sorting import move_of

if TYPE_CHECKING:
    Answering = redis.Connection
else:
    Answering = object

_log: Final = structlog.get_logger(__name__)


_ANSWER_S: Final = 300
"""For how long the answer to a question is kept, in seconds."""


_HELD_BYTES: Final = 16 * 10**6
"""Bytes in the bodies of messages taken and not answered yet; memory holds each of them several times."""
_PADDING: Final = 3
"""Bytes by which the size that is computed from base64 may be too large."""
_AT_ONCE: Final = 100
"""Messages that are taken in one step, at most."""
_AT_ONCE_BYTES: Final = 10**6
_FULL_WAIT_S: Final = 0.1
"""How long to wait for other messages while a queue is left out: it may have free places again soon."""


class RefusedError(RedisConnectionError):
    """Redis answers, but refuses commands for a while."""


class _Refusing(Answering):
    """Turns a refusal into a lost connection; after a failover the next one may reach another server."""

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
    """A connection without encryption."""


class SSLConnection(_Refusing, redis.SSLConnection):
    """A connection by TLS."""


class ResultBackend(RedisBackend):
    """Tries again as long as results are refused, as it does while Redis is away."""

    connection_class_ssl = SSLConnection
    _short_lived: ClassVar[ContextVar[bool]] = ContextVar("short_lived", default=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        parameters = cast("Any", self).connparams
        is_secure = issubclass(parameters.get("connection_class", object), redis.SSLConnection)
        parameters["connection_class"] = SSLConnection if is_secure else Connection

    def _store_result(self, task_id: str, result: Any, state: str, *args: Any, **kwargs: Any) -> Any:
        """Keep the answer to a question, and the error for a refused message, for minutes only."""
        request = kwargs.get("request")
        token = self._short_lived.set(request is None or getattr(request, "task", None) in QUESTIONS | LOOKS)
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
    """A message as it arrived; if it cannot be read, an empty one with the reason in its `errors`.

    kombu itself would raise at a place where nothing catches it, and decompress what nobody has checked.
    """

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        problem = _properties_problem(payload) or _content_problem(payload)
        super().__init__(payload if problem is None else _empty(payload), channel=channel, **kwargs)
        if problem is not None:
            cast("Any", self).errors.append((InvalidInputError, InvalidInputError(problem), None))


def _properties_problem(payload: Any) -> str | None:
    """Return what is wrong with those parts of a message that kombu itself needs."""
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
        return "headers.compression: not supported; allowed: messages without compression"
    if not isinstance(body, str):
        return "body: allowed: a string"
    if encoding not in (None, "base64"):
        return "properties.body_encoding: allowed: base64, or none"
    # Before it is decoded, and copied a few times: whoever judges messages would do that for nothing.
    size = len(body) if encoding is None else len(body) // 4 * 3
    if size > LARGEST_BODY + _PADDING:
        return f"body: about {size} bytes; allowed: {LARGEST_BODY}"
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
    given = payload.get("properties") if isinstance(payload, dict) else None
    tag = given.get("delivery_tag") if isinstance(given, dict) else None
    properties = {
        # If it has a tag of its own, it may be noted as taken under that tag.
        "delivery_tag": tag if isinstance(tag, str) else str(uuid4()),
        "delivery_info": {"exchange": "", "routing_key": ""},
    }
    return {"body": "", "headers": known, "properties": properties}


class _Held(NamedTuple):
    """What is known of a message that was taken and not answered yet."""

    size: int
    """Of its body."""
    queue: str
    """The queue that it came by."""


class _QoS(kombu_redis.QoS):
    """Keeps a message that was taken but could not be noted as taken.

    kombu first removes a message from its queue, and then notes it as taken. In between, only this process
    has it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: dict[str, _Held] = {}
        self.noted: set[str] = set()
        """Tags of messages that were noted as taken in the same step in which they were taken."""

    def can_consume(self) -> bool:
        """Whether there is room for one more message, by number and by size."""
        return self.room_bytes() > 0 and bool(super().can_consume())

    def room(self) -> int:
        """Return how many more messages may be held."""
        # kombu returns None if there is no limit.
        estimate = cast("int | None", super().can_consume_max_estimate())
        return _AT_ONCE if estimate is None else estimate

    def room_bytes(self) -> int:
        return _HELD_BYTES - sum(held.size for held in list(self._held.values()))

    def room_in(self, queue: str) -> int:
        """Return how many more messages of one queue may be held; `room` bounds that as well."""
        most = most_held(queue)
        if most is None:
            return self.room()
        held = sum(held.queue == queue for held in list(self._held.values()))
        return max(0, min(self.room(), most - held))

    def ack(self, delivery_tag: str) -> None:
        self._held.pop(delivery_tag, None)
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        self._held.pop(delivery_tag, None)
        super().reject(delivery_tag, requeue=requeue)

    def forget(self, delivery_tag: str) -> None:
        """Drop a message that was noted as taken and can never be given to anybody."""
        cast("Any", self)._remove_from_indices(delivery_tag).execute()  # noqa: SLF001

    def append(self, message: Any, delivery_tag: str) -> None:
        where, channel = message.delivery_info, cast("Any", self.channel)
        message.queue = channel.turn.last
        self._held[delivery_tag] = _Held(len(message.body or ""), message.queue)
        if delivery_tag in self.noted:
            self.noted.discard(delivery_tag)
            virtual.QoS.append(self, message, delivery_tag)
            return
        try:
            super().append(message, delivery_tag)
        except channel.connection_errors:
            # The message is in no queue any more. If it was noted after all, it comes twice, without harm.
            Channel.taken.append(
                Taken(message._raw, where["exchange"], where["routing_key"])  # noqa: SLF001
            )
            _log.warning("message_kept", task_id=(message.headers or {}).get("id"))
            raise


class _Turn:
    """The queues in turns, without those of which enough is held. kombu calls this a cycle."""

    def __init__(self, has_room: Callable[[str], bool]) -> None:
        self._has_room = has_room
        self._queues: list[str] = []
        self.last = ""
        """The queue that a message was taken from last."""

    def update(self, queues: Iterable[str]) -> None:
        """Use these queues from now on."""
        self._queues = list(queues)

    def consume(self, _most: int) -> list[str]:
        """Return the queues to take from; the one that had its turn last is at the end."""
        return [queue for queue in self._queues if self._has_room(queue)]

    def rotate(self, last_used: str) -> None:
        """Note that a message was taken from this queue."""
        self.last = last_used
        self._queues.sort(key=lambda queue: queue == last_used)


class Channel(kombu_redis.Channel):
    """A channel that opens only if Redis can be written to, and takes many messages in one step.

    If hundreds of messages are taken one by one, each takes three round trips and waits for Redis' disk, and
    the messages of other callers wait behind them.
    """

    QoS = _QoS
    Message = Message
    connection_class = Connection
    connection_class_ssl = SSLConnection
    taken: ClassVar[deque[Taken]] = deque()
    """Messages of this process that Redis could not take back yet: the next channel puts them back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.turn = self._queue_cycle = _Turn(lambda queue: cast("Any", self).qos.room_in(queue) > 0)
        try:
            # This changes nothing, and is refused whenever a write would be.
            self.client.lpushx(keys.PROBE, "")
            self._put_back()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Use one client for all threads: kombu makes one for each acknowledgement."""
        yield client or self._shared

    @cached_property
    def _shared(self) -> Any:
        return cast("Any", self)._create_client()  # noqa: SLF001

    @cached_property
    def _take(self) -> Any:
        return self._shared.register_script(scripts.TAKE)

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        """Hand on what is taken from a queue, but for what is moved to another."""
        tag = cast("Any", super()).basic_consume(queue, *args, **kwargs)
        callbacks = cast("Any", self).connection._callbacks  # noqa: SLF001 - by which kombu delivers
        deliver: Callable[[Any], Any] = callbacks[queue]

        def sort(raw: Any) -> Any:
            move = _move_of(raw, queue)
            return deliver(raw) if move is None else self._move([(move, raw)])

        callbacks[queue] = sort
        return tag

    def _move(self, moves: Sequence[tuple[tuple[str, str], dict[str, Any]]]) -> None:
        """Put messages into other queues, and forget that they were taken, in one step."""
        if not moves:
            return
        inner, qos = cast("Any", self), cast("_QoS", cast("Any", self).qos)
        tags = [raw["properties"]["delivery_tag"] for _, raw in moves]
        try:
            with self._shared.pipeline() as pipe:
                for (queue, text), _ in moves:
                    pipe.lpush(queue, text)
                pipe.zrem(inner.unacked_index_key, *tags)
                pipe.hdel(inner.unacked_key, *tags)
                pipe.execute()
        except inner.connection_errors:
            # They go back when the channel is closed. If they were moved after all, they come twice.
            for (_, raw), tag in zip(moves, tags, strict=True):
                with suppress(*inner.connection_errors):
                    qos.append(Message(raw, channel=self), tag)
            raise
        qos.noted.difference_update(tags)

    def _brpop_start(self, timeout: float | None = None) -> None:
        inner = cast("Any", self)
        queues: Sequence[str] = inner.active_queues
        if timeout is None and len(self.turn.consume(len(queues))) < len(queues):
            timeout = _FULL_WAIT_S
        cast("Any", super())._brpop_start(timeout)  # noqa: SLF001

    def _brpop_read(self, **options: Any) -> Any:
        try:
            found = cast("Any", super())._brpop_read(**options)  # noqa: SLF001
        except (ValueError, RecursionError) as error:
            # It has left its queue, and has no id to report it under. A stack trace would quote it.
            _log_unreadable(error)
            return True
        if found:
            self._take_more()
        return found

    def _take_more(self) -> None:
        """Take what else waits, from all queues in turns; tasks that end something are begun first."""
        inner = cast("Any", self)
        qos: _QoS = inner.qos
        queues = self.turn.consume(len(inner.active_queues))
        most = min(_AT_ONCE, qos.room())
        if most < 1 or not queues or inner._closing:  # noqa: SLF001
            return
        most_bytes = min(_AT_ONCE_BYTES, qos.room_bytes())
        taken = self._take(
            keys=[inner.unacked_index_key, inner.unacked_key, *queues],
            args=[time(), most, most_bytes, *(qos.room_in(queue) for queue in queues)],
        )
        read = ((queue.decode(), self._read(tag, raw)) for queue, tag, raw in taken)
        known = [(queue, one) for queue, one in read if one is not None]
        qos.noted.update(one["properties"]["delivery_tag"] for _, one in known)
        moves = [(_move_of(one, queue), queue, one) for queue, one in known]
        rest = [(queue, one) for move, queue, one in moves if move is None]
        messages = deque(sorted(rest, key=lambda each: not _ends(each[1])))
        try:
            self._move([(move, one) for move, _, one in moves if move is not None])
            while messages:
                queue, one = messages.popleft()
                self.turn.rotate(queue)
                inner.connection._deliver(one, queue)  # noqa: SLF001
        finally:
            # If delivering was cut off, the rest goes back into its queues when the channel is closed.
            for _, one in messages:
                qos.append(Message(one, channel=self), one["properties"]["delivery_tag"])

    def _read(self, tag: bytes, raw: bytes) -> dict[str, Any] | None:
        """Return a message that was taken; None, and refuse it, if Python cannot read it after all."""
        try:
            message: dict[str, Any] = loads(bytes_to_str(raw))
        except Exception as error:  # noqa: BLE001 - whatever kombu makes of it, the others must be taken
            _log_unreadable(error)
            cast("Any", self).qos.forget(tag.decode())
            return None
        return message

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


def _move_of(raw: Any, queue: str) -> tuple[str, str] | None:
    """Return the queue that a message is moved to and its text there, None if it is handed on."""
    move = None if _properties_problem(raw) else move_of(raw, queue)
    try:
        return None if move is None else (move.queue, dumps(move.message))
    except (ValueError, RecursionError):
        # Whoever judges messages says what is wrong with it.
        return None


def _ends(message: dict[str, Any]) -> bool:
    headers = message.get("headers")
    task = headers.get("task") if isinstance(headers, dict) else None
    return isinstance(task, str) and task in ENDINGS


def _log_unreadable(error: Exception) -> None:
    reason = f"message: {type(error).__name__}: is not JSON"
    _log.error("message_refused", task_id=None, reason=reason)


class Transport(kombu_redis.Transport):
    """kombu's transport over Redis, with these channels."""

    Channel = Channel
