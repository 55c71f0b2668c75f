"""Moves a message to another host's worker: the message itself, not a new one made from what is known of it.

So everything in it goes along: chains, chords, groups, links, stamps, priority, expiry, time limits.
"""

from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery import Task
from celery.exceptions import Ignore
from celery.signals import after_task_publish, before_task_publish

from config.queues import ACCEPTED, HOPS, host_queue
from worker.errors import PermanentError

if TYPE_CHECKING:
    AnyTask = Task[..., Any]
else:
    AnyTask = Task  # generic in its published types only

MOST_HOPS: Final = 8
_OF_ITS_DELIVERY: Final = frozenset({"body_encoding", "delivery_info", "delivery_tag"})
"""Properties that a transport gives a message each time it is published."""


def pass_on(task: AnyTask, host: str, *, accepted: bool = False) -> NoReturn:
    """Move the message of the running task to a host's own queue; its result is given there.

    If its intent is `accepted`, it no longer expires: the intent is carried out, and the answer has to say
    so. Raises PermanentError if it has been moved too often.
    """
    request: Any = task.request
    message = request.pinacle_message
    headers = dict(message.headers or {})
    hops = headers.get(HOPS, 0)
    if hops >= MOST_HOPS:
        raise PermanentError(
            f"this task was passed on {hops} times, next to host {host}, and no worker took it for its own; "
            "allowed: one worker for each PINACLE_HOST_ID, on the Engine that has that host's pods"
        )
    headers |= {HOPS: hops + 1, ACCEPTED: accepted or bool(headers.get(ACCEPTED))}
    properties = {key: value for key, value in message.properties.items() if key not in _OF_ITS_DELIVERY}
    expiration = properties.pop("expiration", None)
    app: Any = task.app
    # Celery announces each message that it sends like this; traces add their headers to it then.
    told = {
        "sender": task.name,
        "body": message.body,
        "exchange": "",
        "routing_key": host_queue(host),
        "headers": headers,
    }
    before_task_publish.send(**told, properties=properties, declare=[], retry_policy=None)
    with app.producer_or_acquire() as producer:
        producer.publish(
            message.body,
            exchange="",
            routing_key=host_queue(host),
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            # The body was decoded when it was taken.
            compression=headers.pop("compression", None),
            headers=headers,
            # kombu takes seconds and keeps milliseconds.
            expiration=None if expiration is None else int(expiration) / 1000,
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
            **properties,
        )
    after_task_publish.send(**told)
    raise Ignore
