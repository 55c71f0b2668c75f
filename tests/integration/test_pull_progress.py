"""How far a pull has come is seen while it is under way, by everybody who waits for it."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, Final

import pytest
from redis import Redis

from tests.integration.test_status_stream import documented
from tests.support.commands import Pinacle
from tests.support.pods import Pod
from tests.support.registry import HELD_REGISTRY, Held, holding_proxy, running_registry
from tests.support.schemas import mistakes
from tests.support.worker import WorkerProcess
from worker.client import Change, Progress
from worker.client import Client as Calls
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.waiting import wait_until

IMAGE: Final = f"{HELD_REGISTRY}/big/base:1"
SPEC: Final[dict[str, Any]] = {"image": IMAGE, "stop_timeout_s": 1}
STREAM: Final = "pinacle:progress"
SEEN: Final = re.compile(r"\d\.\d of 4\.0 MB, 1 of 2 layers")
"""Of two layers, the host has the lower one."""


@pytest.fixture(scope="module")
def held(engine: PrivateEngine, scratch: Path, busybox: str) -> Iterator[Held]:
    """Push an image with a layer of 4 MB; the host keeps only the layer below."""
    folder = scratch / "pulled"
    with running_registry(engine, folder), holding_proxy(engine, folder) as held:
        script = "head -c 4000000 /dev/urandom >/opt/random"
        engine.docker("run", "--name", "filled", busybox, "sh", "-c", script)
        engine.docker("commit", "filled", IMAGE)
        engine.docker("rm", "filled")
        engine.docker("push", "-q", IMAGE)
        engine.docker("rmi", IMAGE)
        yield held


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], held: Held) -> dict[str, str]:
    """Nothing but a pod's container keeps its image's layers on the host."""
    return {
        **settings,
        "PINACLE_REGISTRIES": f"docker.io,{HELD_REGISTRY}",
        "PINACLE_SYSTEM_VOLUMES": "off",
    }


@pytest.fixture
def redis(settings: dict[str, str]) -> Iterator[Any]:
    with Redis.from_url(settings["PINACLE_REDIS_URL"], decode_responses=True, protocol=2) as redis:
        yield redis


@pytest.fixture
def calls(settings: dict[str, str]) -> Iterator[Calls]:
    with Calls(settings["PINACLE_REDIS_URL"]) as calls:
        yield calls


@pytest.fixture(params=["create", "update", "start"])
def words(
    request: pytest.FixtureRequest,
    client: Client,
    engine: PrivateEngine,
    busybox: str,
    pod_worker: WorkerProcess,
) -> Iterator[list[str]]:
    """What has the image pulled: by its name for a new pod or another image, by its digest if it was lost."""
    verb: str = request.param
    pod = Pod(client, engine, "pulls")
    if verb == "update":
        pod.call("create", {**SPEC, "image": busybox})
    if verb == "start":
        pod.call("create", SPEC)
        pod.call("stop")
        with pod_worker.held():
            # A pass in between would make another container of that image.
            engine.docker("rm", pod.container)
            engine.docker("rmi", "-f", IMAGE)
    yield [verb, "pulls", *(() if verb == "start" else ("--image", IMAGE))]
    # By its id, as one that was pulled by its digest has no other name.
    image = pod.call("get")["image"]
    pod.call("delete")
    engine.docker("rmi", "-f", image)


def test_a_pull_is_told_while_it_is_under_way_and_not_after(
    *, client: Client, calls: Calls, held: Held, settings: dict[str, str], words: list[str], redis: Any
) -> None:
    """By `pods.get`, in the stream, and by the command line that waits for it and by another one."""
    pinacle, shown = Pinacle(settings), Event()
    following = calls.follow(within_s=30, progress=True)
    with held.back(), ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(
            pinacle.on_terminal, "pods", *words, prompt="1 of 2 layers", when_prompted=shown.set
        )
        told = next(each for each in following if isinstance(each, Progress) and each.done_bytes)
        assert (told.pod_id, told.done_layers, told.total_layers) == ("pulls", 1, 2)
        assert 0 < told.done_bytes < told.total_bytes < 5_000_000
        assert shown.wait(30), "the command line shows it"
        pod = client.call("get", "pulls")
        assert pod["phase"] == "pending"
        assert mistakes(pod, "Pod") == []
        assert told.image == pod["progress"]["image"]
        assert pod["progress"]["done_bytes"] >= told.done_bytes
        assert SEEN.search(pinacle("pods", "get", "pulls").out)
        held.go()
        code, on_terminal = waiting.result()
    assert code == 0, on_terminal
    assert SEEN.search(on_terminal), on_terminal
    wait_until(lambda: client.call("get", "pulls")["progress"] is None, 10, what="the end of the pull")
    last = [entry for _, entry in redis.xrange(STREAM)][-1]
    assert mistakes(last, "Progress") == []
    assert set(last) == documented("following.md", "of a pull")
    assert (last["done_bytes"], last["done_layers"]) == (last["total_bytes"], "2")
    running = next(each for each in following if isinstance(each, Change) and each.phase == "running")
    assert (running.pod_id, running.generation) == ("pulls", told.generation)


def test_without_a_terminal_nothing_is_shown_of_it(
    *, client: Client, held: Held, settings: dict[str, str], engine: PrivateEngine
) -> None:
    with held.back(), ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(Pinacle(settings), "pods", "create", "quiet", "--image", IMAGE)
        wait_until(lambda: _is_pulled(client, "quiet"), 30, what="the pull")
        held.go()
        done = waiting.result()
    assert (done.err, done.out) == ("", f"pod quiet is running on {client.call('get', 'quiet')['host']}\n")
    client.call("delete", "quiet")
    engine.docker("rmi", "-f", IMAGE)


def _is_pulled(client: Client, pod_id: str) -> bool:
    pods = client.call("list", fields=["pod_id"])["pods"]
    return pod_id in [pod["pod_id"] for pod in pods] and client.call("get", pod_id)["progress"] is not None
