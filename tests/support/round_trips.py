"""How often Redis is asked: each command counts as one, and so does a pipeline of many."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from redis.asyncio.connection import AbstractConnection


@contextmanager
def counted_round_trips() -> Iterator[Counter[str]]:
    """Count what this process sends to Redis, under `sent`; everything is really sent."""
    count, send = Counter[str](), AbstractConnection.send_packed_command

    async def counting(connection: AbstractConnection, *arguments: Any, **more: Any) -> None:
        count["sent"] += 1
        await send(connection, *arguments, **more)

    with patch.object(AbstractConnection, "send_packed_command", counting):
        yield count
