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
PULLS = "pinacle:progress"
BEGINNING = "0-0"


def create(redis_url: str, pod_id: str, image: str) -> str:
    """Send the task by its name and return the phase that it answers; raises what the worker refused."""
    app = Celery(broker=redis_url, backend=redis_url)
    sent = app.send_task("pods.create", args=[pod_id, {"image": image}], queue="pods")
    return str(sent.get(timeout=60)["phase"])


def newest(redis: Any, stream: str = STREAM) -> str:
    """Return the id after which everything is still to come."""
    return next((last_id for last_id, _ in redis.xrevrange(stream, count=1)), BEGINNING)


def follow(redis: Any, last_id: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield stream, id and fields of each change of phase since `last_id`, and of each pull from now on."""
    places = {PULLS: newest(redis, PULLS), STREAM: last_id}
    while True:
        # Shorter than the 5 s for which the client waits for any answer.
        for stream, entries in redis.xread(places, count=100, block=3000):
            last_id = places[STREAM]
            if stream == STREAM and last_id != BEGINNING and not redis.xrange(STREAM, last_id, last_id):
                print("changes were missed: ask pods.list where every pod stands", file=sys.stderr)
            yield from ((stream, *entry) for entry in entries)
            places[stream] = entries[-1][0]


def pulling(pull: dict[str, str]) -> str:
    """Return how far a pull has come."""
    done, total = int(pull["done_bytes"]) // 10**6, int(pull["total_bytes"]) // 10**6
    return f"{done} of {total} MB, {pull['done_layers']} of {pull['total_layers']} layers"


if __name__ == "__main__":
    url, pod, image, *since = sys.argv[1:]
    client = Redis.from_url(url, decode_responses=True, protocol=2)
    start = since[0] if since else newest(client)  # before the task is sent, so that nothing is missed
    print(f"{pod} is {create(url, pod, image)}", flush=True)
    for stream, change_id, change in follow(client, start):
        if stream == PULLS:
            print("pulling for", change["pod_id"], pulling(change), flush=True)
            continue
        print(change_id, change["pod_id"], change["phase"], change["reason"], flush=True)
        if (change["pod_id"], change["phase"]) == (pod, "deleted"):
            break
