"""Writes the fixtures of this folder again: `python -m tests.upgrade.collect`, as root.

They are what a worker of the first commit leaves in Redis and on an Engine. There is no need to write them
again: today's code has to read what was written then.
"""

import http.client
import json
import shutil
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from tests.support.stack import Stack, own_stack
from tests.support.worker import ROOT
from tests.upgrade.older import FIRST, Older
from tests.upgrade.situations import SPECS, arrange
from worker.local.waiting import wait_until

WRITTEN: Final = Path(__file__).parent / "written"
DATA_ROOT: Final = "/var/lib/docker"
"""What stands in the fixtures for the folder that the Engine had."""
SETTINGS: Final = {
    "PINACLE_HOST_ID": "older",
    "PINACLE_RECONCILE_INTERVAL_S": "2",
    "PINACLE_MIN_FREE_MB": "100",
    "PINACLE_LOG_FORMAT": "json",
}


class _Connection(http.client.HTTPConnection):
    """HTTP over the Engine's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def ask(engine: Path, path: str) -> Any:
    """Return the Engine's answer to a GET, as it is."""
    connection = _Connection(engine)
    connection.request("GET", f"/v1.41/{path}")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def collect(stack: Stack) -> dict[str, Any]:
    """Return what was written, by the name of its fixture."""
    engine = stack.engine.socket
    containers = ask(engine, "containers/json?all=1")
    ids = {entry["Id"]: entry["ImageID"] for entry in containers}
    return {
        "store": _store(stack.redis.url),
        "containers": containers,
        "inspects": [ask(engine, f"containers/{each}/json") for each in ids],
        "images": [ask(engine, f"images/{each}/json") for each in sorted(set(ids.values()))],
        "volumes": ask(engine, "volumes")["Volumes"],
    }


def _store(url: str) -> dict[str, Any]:
    client: Any = redis.Redis.from_url(url, decode_responses=True)
    readers = {
        "hash": client.hgetall,
        "set": lambda key: sorted(client.smembers(key)),
        "string": client.get,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
        "list": lambda key: client.lrange(key, 0, -1),
    }
    keys = sorted(client.keys("pinacle:*"))
    return {key: readers[client.type(key)](key) for key in keys}


def messages(stack: Stack) -> dict[str, list[Any]]:
    """Return messages as they wait in the queues: from clients, from beat, and passed on by a worker."""
    client: Any = redis.Redis.from_url(stack.redis.url, decode_responses=True)
    # Another host, without a worker: everything about its pods is passed on to it.
    client.zadd("pinacle:heartbeats", {"elsewhere": client.time()[0] + 15})
    client.hset("pinacle:pod:plain", "host", "elsewhere")
    stack.client.call("reconcile")
    asked: list[tuple[str, dict[str, Any]]] = [
        ("start", {}),
        ("stop", {}),
        ("restart", {"force": True}),
        ("update", {"spec": SPECS["every-key"]}),
        ("delete", {}),
    ]
    for number, (task, more) in enumerate(asked):
        stack.client.send(task, pod_id="plain", **more)
        # If the deletion came first, the others would be refused.
        wait_until(partial(_is_long, client, number + 2), 30, what=f"{task} passed on")
    passed_on = client.lrange("pods.elsewhere", 0, -1)
    stack.worker.stop()
    send = stack.client.send
    for task, args in (
        ("create", ("new", SPECS["every-key"])),
        ("create", ("new", SPECS["plain"], True)),
        ("update", ("new", SPECS["database"])),
        ("start", ("new",)),
        ("stop", ("new",)),
        ("restart", ("new", True)),
        ("delete", ("new",)),
        ("get", ("new",)),
        ("list", ()),
        ("list", (True,)),
        ("reconcile", ("older",)),
    ):
        send(task, *args)
    sent = client.lrange("pods", 0, -1)
    return {
        "passed_on": [json.loads(each) for each in passed_on],
        "sent": [json.loads(each) for each in sent],
    }


def _is_long(client: Any, length: int) -> bool:
    return int(client.llen("pods.elsewhere")) >= length


def _lines(value: Any) -> str:
    """Return it as JSON, with each entry on a line of its own."""
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(rows) + "\n}\n"
    return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]\n"


def main() -> None:
    """Write all fixtures."""
    scratch = Path(tempfile.mkdtemp(prefix="pin-"))
    older = Older.unpack(FIRST, scratch / "older")
    if older is None:
        raise SystemExit(f"error: {ROOT} has no history: clone the repository")
    WRITTEN.mkdir(exist_ok=True)
    with own_stack(scratch, SETTINGS, make_worker=older.worker) as stack:
        arrange(stack)
        found = collect(stack) | {"messages": messages(stack)}
    for name, value in found.items():
        text = _lines(value).replace(str(stack.engine.data_root), DATA_ROOT)
        (WRITTEN / f"{name}.json").write_text(text)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
