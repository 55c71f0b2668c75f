"""What `pinacle doctor` concludes from messages that nobody takes."""

from collections.abc import Mapping
from typing import Final

from config.queues import PODS_QUEUE
from worker.cli.doctor.checks import Check, ok, warn

_MOST_NAMED: Final = 5


def queues(unread: Mapping[str, int]) -> Check:
    """Whether every message is in a queue that a worker reads."""
    name = "queues"
    if not unread:
        return ok(name, "no message waits where no worker reads")
    most_first = sorted(unread.items(), key=lambda each: (-each[1], each[0]))
    named = ", ".join(f"{length} in {queue!r:.80}" for queue, length in most_first[:_MOST_NAMED])
    more = f" and more in {len(unread) - _MOST_NAMED} others" if len(unread) > _MOST_NAMED else ""
    return warn(
        name,
        f"messages wait where no worker of this installation reads: {named}{more}",
        f"send tasks with queue={PODS_QUEUE!r} (Celery's default is 'celery'); send what waits there again "
        "if it is still wanted, then `redis-cli DEL` that queue; the queue of a host is read as soon as its "
        "worker runs",
    )
