"""Which answers mean that Redis refuses commands for now, and count as a Redis that is away."""

from typing import Any

import pytest
import redis
from celery.backends.redis import RedisBackend
from kombu.transport import resolve_transport
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from config.celery import make_app
from worker.errors import StoreUnavailableError
from worker.store.broker import Channel, Connection, ResultBackend, SSLConnection, Transport
from worker.store.refusals import refusal
from worker.store.translate import translated

_parsed: Any = BaseParser.parse_error
REFUSED = {
    "READONLY You can't write against a read only replica.": "read-only replica",
    "OOM command not allowed when used memory > 'maxmemory'.": "maxmemory",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to": "disk",
    "NOREPLICAS Not enough good replicas to write.": "min-replicas-to-write",
    "LOADING Redis is loading the dataset in memory": "loading",
    "BUSY Redis is busy running a script.": "SCRIPT KILL",
    "UNBLOCKED force unblock from blocking operation, instance state changed": "replica",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "primary",
    "CLUSTERDOWN The cluster is down": "cluster",
    "ERR Error running script: @user_script:1: -READONLY You can't write against": "read-only replica",
    "-MISCONF Errors writing to the AOF file: No space left on device": "disk",
}
OTHER = (
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "BUSYGROUP Consumer Group name already exists",
    "ERR unknown command 'READONLY', with args beginning with: 'x'",
    "NOSCRIPT No matching script.",
    "EXECABORT Transaction discarded because of previous errors.",
)


@pytest.mark.parametrize("text", REFUSED)
def test_a_refusal_is_known_and_says_what_to_do(text: str) -> None:
    error = _parsed(text)
    assert REFUSED[text] in (refusal(error) or "")
    with pytest.raises(StoreUnavailableError, match=REFUSED[text]), translated("save"):
        raise error


@pytest.mark.parametrize("text", OTHER)
def test_another_answer_is_none(text: str) -> None:
    assert refusal(_parsed(text)) is None


@pytest.mark.parametrize("kind", [Connection, SSLConnection])
def test_a_connection_that_is_refused_is_a_lost_one(
    kind: type[Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that Celery waits and connects again; any other answer is unchanged."""
    answers = [_parsed(next(iter(REFUSED))), ResponseError("WRONGTYPE")]

    def answer(*_: object, **__: object) -> object:
        raise answers.pop(0)

    monkeypatch.setattr(redis.Connection, "read_response", answer)
    one = kind()
    with pytest.raises(RedisConnectionError, match="read-only replica"):
        one.read_response()
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        one.read_response()


@pytest.mark.parametrize(
    ("url", "connection"),
    [("redis://somewhere:1/2", Connection), ("rediss://somewhere:1/2?ssl_cert_reqs=required", SSLConnection)],
)
def test_broker_and_results_take_such_connections(url: str, connection: type[Connection]) -> None:
    """With both schemes, and the secure one stays secure."""
    app = make_app(broker_url=url, result_backend=url)
    backend = app.backend
    assert isinstance(backend, ResultBackend)
    assert isinstance(backend, RedisBackend)
    assert vars(backend)["connparams"]["connection_class"] is connection
    broker = app.connection_for_write()
    transport: Any = resolve_transport(url.partition(":")[0])
    assert transport is Transport
    assert bool(broker.ssl) is (connection is SSLConnection)
    assert (Channel.connection_class, Channel.connection_class_ssl) == (Connection, SSLConnection)
    app.close()
