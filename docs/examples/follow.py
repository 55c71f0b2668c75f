"""Create a pod and follow what becomes of all pods, with Celery's and Redis' own clients only.

    pip install celery redis
    python follow.py "$(cat .pinacle/redis-url)" abc debian:12-slim [LAST_ID]

LAST_ID is the last id that was printed before: the changes after it come first. Ends when the pod is deleted.
"""

import sys
from collections.abc import Iterator
from typing import Any

from celery import Celery
from redis import Redis

STREAM = "pinacle:events"
BEGINNING = "0-0"


def create(redis_url: str, pod_id: str, image: str) -> str:
    """Send the task by its name and return the phase that it answers; raises what the worker refused."""
    app = Celery(broker=redis_url, backend=redis_url)
    sent = app.send_task("pods.create", args=[pod_id, {"image": image}], queue="pods")
    return str(sent.get(timeout=60)["phase"])


def newest(redis: Any) -> str:
    """Return the id after which everything is still to come."""
    return next((last_id for last_id, _ in redis.xrevrange(STREAM, count=1)), BEGINNING)


def follow(redis: Any, last_id: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield id and fields of each change of phase since `last_id`, and wait for more."""
    while True:
        # Shorter than the 5 s for which the client waits for any answer.
        for _, changes in redis.xread({STREAM: last_id}, count=100, block=3000):
            if last_id != BEGINNING and not redis.xrange(STREAM, last_id, last_id):
                print("changes were missed: ask pods.list where every pod stands", file=sys.stderr)
            yield from changes
            last_id = changes[-1][0]


if __name__ == "__main__":
    url, pod, image, *since = sys.argv[1:]
    client = Redis.from_url(url, decode_responses=True, protocol=2)
    start = since[0] if since else newest(client)  # before the task is sent, so that nothing is missed
    print(f"{pod} is {create(url, pod, image)}", flush=True)
    for change_id, change in follow(client, start):
        print(change_id, change["pod_id"], change["phase"], change["reason"], flush=True)
        if (change["pod_id"], change["phase"]) == (pod, "deleted"):
            break
