"""Which messages a worker moves to a queue of their kind, where no change waits behind them. Pure.

A worker holds a bounded number of messages. If those that it holds wait for the few threads that answer
questions, it takes no more, and a stop waits in Redis behind as many questions as anybody sends.
"""

from typing import Any, NamedTuple

from config.queues import waiting_queue


class Move(NamedTuple):
    """A message as it is to be in the queue that it goes to."""

    queue: str
    message: dict[str, Any]


def move_of(message: dict[str, Any], queue: str) -> Move | None:
    """Return where a message that was taken from `queue` is moved to, None if it is worked on at once.

    kombu must be able to read its properties. Once moved, it is given back to the queue that it was moved to.
    """
    headers = message.get("headers")
    task = headers.get("task") if isinstance(headers, dict) else None
    target = waiting_queue(task, queue) if isinstance(task, str) else None
    if target is None:
        return None
    properties = message["properties"]
    where = properties["delivery_info"] | {"exchange": "", "routing_key": target}
    return Move(target, message | {"properties": properties | {"delivery_info": where}})
