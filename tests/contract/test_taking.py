"""How messages are taken from Redis: many in one step, from all queues in turns, and none is lost."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import kombu.transport
import pytest
from kombu import Connection, Queue
from redis import Redis

from config.celery import make_app
from config.queues import HELD_QUESTIONS, most_held
from tests.support.messages import sound
from worker.local.waiting import wait_until
from worker.store import scripts
from worker.store.broker import Channel

QUEUES: Final = ("pods.here", "pods", "questions")
NOTES: Final = ("unacked_index", "unacked")
ODD: Final[tuple[Callable[[dict[str, Any]], object], ...]] = (
    lambda message: message.pop("properties"),
    lambda message: message["properties"].pop("delivery_info"),
    lambda message: message["properties"]["delivery_info"].update(exchange=5),
    lambda message: message["properties"]["delivery_info"].update(routing_key=None),
    lambda message: message["properties"].update(delivery_tag=5),
    lambda message: message["properties"].update(delivery_tag="ж"),
    lambda message: message["properties"].update(delivery_tag=""),
)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield redis


class Taker:
    """What a worker's process takes from the queues, in the order in which it is handed on."""

    def __init__(self, connection: Connection, *queues: str) -> None:
        self.channel: Any = connection.channel()
        assert isinstance(self.channel, Channel), "another transport than ours is tested"
        self.channel.basic_qos(0, 1000, False)  # noqa: FBT003 - kombu's
        self.taken: list[Any] = []
        self.problem: Exception | None = None
        self.connection: Any = connection
        for queue in queues or QUEUES:
            Queue(queue, channel=self.channel).declare()
            self.channel.basic_consume(queue, False, self.take, queue)  # noqa: FBT003 - kombu's

    def take(self, message: Any) -> None:
        self.taken.append(message)
        if self.problem is not None:
            raise self.problem

    def once(self, timeout_s: float = 5) -> list[str]:
        """Take what one answer of Redis contains, and return the tasks."""
        before = len(self.taken)
        self.connection.drain_events(timeout=timeout_s)
        return [message.headers["task"] for message in self.taken[before:]]

    def soon(self) -> list[str]:
        """Take what there is, if there is anything, and return the tasks."""
        try:
            return self.once(0.2)
        except TimeoutError:
            return []


@contextmanager
def taker(url: str, *queues: str) -> Iterator[Taker]:
    make_app()  # Has kombu know our transport, unless it has connected by its own before: it remembers that.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kombu.transport, "_transport_cache", {})
        with Connection(url) as connection:
            yield Taker(connection, *queues)


def text(task: str = "pods.create", queue: str = "pods", **more: Any) -> str:
    message = sound()
    message["headers"] |= {"task": task, "id": str(uuid4())}
    message["properties"]["delivery_info"]["routing_key"] = queue
    return json.dumps(message | more)


def take(redis: Any, *, most: int = 100, most_bytes: int = 10**6, each: int = 100) -> list[list[str]]:
    script = redis.register_script(scripts.TAKE)
    found: list[list[str]] = script(
        keys=[*NOTES, *QUEUES], args=[17.5, most, most_bytes, *(each for _ in QUEUES)]
    )
    return found


def test_hundreds_wait_and_one_turn_takes_a_hundred_of_all_queues(redis_url: str, redis: Redis) -> None:
    """Tasks that end something come first, and each message is noted as kombu itself notes it."""
    redis.lpush("pods", *(text() for _ in range(200)))
    redis.lpush("questions", *(text("pods.get", "questions") for _ in range(200)))
    redis.lpush("pods.here", text("pods.stop", "pods.here"))
    with taker(redis_url) as own:
        first, *rest = own.once()
        assert {first, rest[0]} >= {"pods.stop"}
        assert len(rest) == 100
        assert 45 <= rest.count("pods.get") <= 55
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == 101
        noted = {tag: json.loads(note) for tag, note in redis.hgetall("unacked").items()}
        for message in own.taken:
            assert noted[message.delivery_tag][0] == message._raw
            assert noted[message.delivery_tag][1:] == ["", message.delivery_info["routing_key"]]
            message.ack()
        assert not redis.exists(*NOTES)


def test_a_thousand_questions_leave_room_and_are_gone_on_with(redis_url: str, redis: Redis) -> None:
    redis.lpush("questions", *(text("pods.get", "questions") for _ in range(300)))
    with taker(redis_url) as own:
        assert len(own.once()) == HELD_QUESTIONS
        redis.lpush("pods", text("pods.stop"))
        assert own.once() == ["pods.stop"]
        own.taken[0].ack()
        assert own.once() == ["pods.get"]


def test_what_was_not_handed_on_goes_back(redis_url: str, redis: Redis) -> None:
    """If the connection breaks in the middle, for example: nothing waits for the visibility time-out."""
    redis.lpush("pods", *(text() for _ in range(20)))
    with taker(redis_url) as own:
        own.once()
        assert len(own.taken) == 20
        redis.lpush("pods", *(text() for _ in range(20)))
        own.problem = ConnectionError("gone")
        with pytest.raises(ConnectionError):
            own.once()
        own.problem = None
        assert len(own.taken) == 21
    assert redis.llen("pods") == 40
    assert not redis.exists(*NOTES)


@pytest.mark.parametrize("number", range(len(ODD)))
def test_what_the_script_cannot_read_stays_for_the_one_that_refuses_it(redis: Redis, number: int) -> None:
    message = json.loads(text())
    ODD[number](message)
    for odd in (json.dumps(message), "no JSON", "[" * 5000):
        redis.rpush("pods", odd)
        assert take(redis) == []
        assert redis.rpop("pods") == odd
    assert not redis.exists(*NOTES)


def test_one_that_cannot_be_read_holds_up_no_other_queue(redis: Redis) -> None:
    redis.lpush("pods", "no JSON", text())
    redis.lpush("questions", text(), text())
    assert [queue for queue, _, _ in take(redis)] == ["questions", "questions"]
    assert redis.llen("pods") == 2


def test_as_many_are_taken_as_there_is_room_for(redis: Redis) -> None:
    """In total, per queue, and by size; the oldest first."""
    texts = [text() for _ in range(9)]
    for queue in ("pods", "questions"):
        redis.lpush(queue, *texts)
    tags = [json.loads(each)["properties"]["delivery_tag"] for each in texts]
    assert take(redis, most=3) == [
        ["pods", tags[0], texts[0]],
        ["questions", tags[0], texts[0]],
        ["pods", tags[1], texts[1]],
    ]
    assert [queue for queue, _, _ in take(redis, each=1)] == ["pods", "questions"]
    assert len(take(redis, most_bytes=2 * len(texts[0]) + 10)) == 2
    assert take(redis, most_bytes=len(texts[0]) - 1) == take(redis, each=0) == take(redis, most=0) == []
    assert {redis.zscore("unacked_index", tag) for tag in tags[:3]} == {17.5}


def test_what_python_reads_otherwise_than_redis_is_refused_alone(redis_url: str, redis: Redis) -> None:
    """A number that only Lua's library accepts: that message is removed, and the others are handed on."""
    odd = text().replace('"retries": 0', '"retries": 0x1f')
    redis.lpush("pods", text(), odd, text())
    with taker(redis_url) as own:
        assert len(own.once()) == 2
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == 2
        for message in own.taken:
            message.ack()
    assert not redis.exists("pods", *NOTES)


def test_a_message_knows_the_queue_that_it_was_taken_from(redis_url: str, redis: Redis) -> None:
    """Whatever the message says itself: its lane depends on this."""
    with taker(redis_url) as here:
        for queue in QUEUES:
            redis.lpush(queue, text(task=queue, queue="questions"))
        while len(here.taken) < len(QUEUES):
            here.once()
        assert {each.headers["task"]: each.queue for each in here.taken} == {each: each for each in QUEUES}


@pytest.mark.parametrize("is_alone", [True, False])
def test_what_only_asks_does_not_keep_a_change_waiting(redis_url: str, redis: Redis, is_alone: bool) -> None:
    """However many ask by the queue for everything: they are moved, and nothing of them is held."""
    asking = ("pods.get", "pods.list", "pods.exec", "pods.logs", "pods.stats", "pods.reconcile")
    with taker(redis_url) as own:
        if is_alone:
            for task in asking:
                redis.lpush("pods", text(task))
                wait_until(lambda: own.soon() == [] and not redis.exists("pods"), 10, what="it is taken")
        else:
            redis.lpush("pods", *(text(asking[number % len(asking)]) for number in range(2000)))
            redis.lpush("pods", text("pods.create"))
            wait_until(lambda: own.soon() == ["pods.create"], 30, what="the change")
        assert [each.headers["task"] for each in own.taken] == ([] if is_alone else ["pods.create"])
        assert redis.hlen("unacked") == redis.zcard("unacked_index") == len(own.taken)
    lengths = {queue: redis.llen(f"waiting.{queue}") for queue in ("questions", "looks", "passes")}
    assert sum(lengths.values()) == (6 if is_alone else 2000)
    assert all(lengths.values())


def test_what_was_moved_is_as_it_was_sent(redis_url: str, redis: Redis) -> None:
    """It comes in the order in which it was sent, and given back it comes again."""
    sent = [text("pods.get") for _ in range(50)]
    redis.lpush("pods", *sent)
    with taker(redis_url) as own:
        while redis.exists("pods"):
            own.soon()
    moved = [json.loads(each) for each in reversed(redis.lrange("waiting.questions", 0, -1))]
    assert [each["headers"] for each in moved] == [json.loads(each)["headers"] for each in sent]
    assert [each["body"] for each in moved] == [json.loads(each)["body"] for each in sent]
    with taker(redis_url, "waiting.questions") as own:
        assert len(own.once()) == most_held("waiting.questions") == 20
        assert {each.queue for each in own.taken} == {"waiting.questions"}
    assert redis.llen("waiting.questions") == 50
    assert not redis.exists("pods", *NOTES)


@pytest.mark.parametrize("many", [1, 50])
def test_what_could_not_be_moved_is_not_lost(redis_url: str, redis: Redis, many: int) -> None:
    """Redis goes away in the middle; what Redis did not note as taken goes with the next channel."""
    with taker(redis_url) as own:
        redis.lpush("pods", *(text("pods.get") for _ in range(many)))

        def broken(*_: Any) -> Any:
            raise own.channel.connection_errors[0]("gone")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own.channel._shared, "pipeline", broken)
            with pytest.raises(own.channel.connection_errors):
                own.once()
            if many > 1:
                with pytest.raises(own.channel.connection_errors):
                    own.once()
        assert not own.taken
    with taker(redis_url) as own:
        while redis.llen("waiting.questions") < many:
            own.soon()
        assert not own.taken
    assert redis.llen("waiting.questions") == many
    assert not redis.exists("pods", *NOTES)
