"""A message on its way to another host's worker: the very message, not one made from what is known of it.

So whatever it carries goes along: chains, chords, groups, links, stamps, priority, expiry, time limits.
"""

from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery import Task
from celery.exceptions import Ignore
from celery.signals import after_task_publish, before_task_publish

from config.celery import ACCEPTED, HOPS, host_queue
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

    One whose intent is `accepted` does not expire any more: it is obeyed, and the answer is to say so.
    Raises PermanentError where it has been moved too often already.
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
    # As Celery tells of each message that it sends: traces follow it by what they put into its headers.
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
            # The body was unpacked when it was taken.
            compression=headers.pop("compression", None),
            headers=headers,
            # Taken in seconds, and kept in milliseconds.
            expiration=None if expiration is None else int(expiration) / 1000,
            retry=True,
            retry_policy=app.conf.task_publish_retry_policy,
            **properties,
        )
    after_task_publish.send(**told)
    raise Ignore
