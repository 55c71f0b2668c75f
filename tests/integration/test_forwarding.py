"""A message that another host's worker takes first is moved as a whole: everything in it has its effect."""

import gc
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from time import time
from typing import Any, Final

import pytest
from celery import chain, chord, group
from redis import Redis

from tests.support.engines import private_engine
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
HERE: Final = "pods.here"
"""The queue of the host that has no pod: it has to pass everything on."""
ANSWER_S: Final = 90
Make = Callable[..., Any]
"""Makes a signature of a task's name and arguments."""


@pytest.fixture(scope="module")
def redis_of_two(scratch: Path) -> Iterator[RedisServer]:
    server = RedisServer(scratch / "two" / "redis")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def workers(
    scratch: Path, settings: dict[str, str], redis_of_two: RedisServer, engine: PrivateEngine, busybox: str
) -> Iterator[dict[str, WorkerProcess]]:
    """Two hosts, each with an Engine of its own."""
    other = private_engine(scratch / "two" / "e", settings.get("PINACLE_RUNTIME"))
    other.start()
    import_busybox(other)
    mine = {**settings, "PINACLE_REDIS_URL": redis_of_two.url, "PINACLE_REGISTRIES": "127.0.0.1:9"}
    workers = {
        name: WorkerProcess(scratch / "two", {**mine, "PINACLE_HOST_ID": name, "DOCKER_HOST": url}, name)
        for name, url in (("there", other.url), ("here", engine.url))
    }
    for worker in workers.values():
        worker.start()
    yield workers
    for worker in workers.values():
        worker.stop()
    other.destroy()


@pytest.fixture(scope="module")
def client(workers: dict[str, WorkerProcess], redis_of_two: RedisServer) -> Iterator[Client]:
    client = Client(redis_of_two.url)
    for pod_id in ("one", "two"):
        made = client.call("create", pod_id, SPEC, queue="pods.there")
        assert (made["host"], made["phase"]) == ("there", "running")
    yield client
    for pod_id in ("one", "two"):
        client.call("delete", pod_id)
    client.close()


@pytest.fixture
def admin(redis_of_two: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_of_two.url) as admin:
        yield admin


@pytest.fixture
def make(client: Client) -> Iterator[Make]:
    """Both pods run when a test begins."""
    for pod_id in ("one", "two"):
        client.call("start", pod_id)
        becomes(client, pod_id, "running")
    yield partial(client.signature, queue=HERE)
    # Celery unsubscribes when it collects a result: here, while there is a server.
    gc.collect()


def phase(client: Client, pod_id: str) -> str:
    return str(client.call("get", pod_id)["phase"])


def becomes(client: Client, pod_id: str, wanted: str) -> None:
    wait_until(lambda: phase(client, pod_id) == wanted, ANSWER_S, what=f"{pod_id} {wanted}")


def phases(client: Client, *sent: Any) -> list[str]:
    """Wait for answers."""
    return [client.receive(one, ANSWER_S)["phase"] for one in sent]


def test_a_chain_goes_on_where_its_first_task_was_done(client: Client, make: Make) -> None:
    sent: Any = chain(make("pods.stop", "one"), make("pods.start", "one", queue="pods")).apply_async()
    assert phases(client, sent.parent, sent) == ["stopped", "running"]


def test_a_group_has_all_its_results(client: Client, make: Make) -> None:
    sent: Any = group(make("pods.stop", "one"), make("pods.restart", "two")).apply_async()
    assert phases(client, *sent.results) == ["stopped", "running"]


def test_a_look_into_a_pod_is_answered_where_it_lives(client: Client, make: Make) -> None:
    command = ["sh", "-c", "echo ran >>/root/runs; cat /root/runs"]
    ran = client.receive(client.send("exec", "one", command, queue=HERE), ANSWER_S)
    assert (ran["exit_code"], ran["stdout"]) == (0, "ran\n")
    logs = client.receive(client.send("logs", "one", queue=HERE), ANSWER_S)
    assert logs["container_id"] == ran["container_id"]


def test_a_patch_is_made_of_what_is_recorded_where_the_pod_lives(client: Client, make: Make) -> None:
    """With all that it says, by position or by name."""
    at = client.call("get", "one")["generation"]
    in_place: tuple[Any, ...] = (False, at, [])
    by_place = make("pods.update", "one", {"env": {"A": "1"}}, *in_place).apply_async()
    assert client.receive(by_place, ANSWER_S)["changed"] == ["env"]
    by_name = client.send(
        "update", pod_id="one", spec={"env": {"B": "2"}}, expected_generation=at, queue=HERE
    )
    with pytest.raises(Exception, match=f"is at {at + 1}, not at {at}"):
        client.receive(by_name, ANSWER_S)
    whole = client.send("update", pod_id="one", spec=SPEC, replace=True, queue=HERE)
    assert client.receive(whole, ANSWER_S)["changed"] == ["env"]


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
def test_the_body_of_a_chord_is_run(client: Client, make: Make) -> None:
    header = [make("pods.stop", "one"), make("pods.stop", "two")]
    sent: Any = chord(header)(make("pods.start", "one", queue="pods"))
    assert phases(client, *sent.parent.results, sent) == ["stopped", "stopped", "running"]


def test_a_link_is_called(client: Client, make: Make) -> None:
    linked = make("pods.stop", "two", queue="pods")
    assert phases(client, make("pods.restart", "one").apply_async(link=linked)) == ["running"]
    becomes(client, "two", "stopped")


def test_a_link_for_errors_is_called_where_the_task_fails_there(client: Client, make: Make) -> None:
    spec = {**SPEC, "image": "127.0.0.1:9/nobody/nothing:1"}
    linked = make("pods.stop", "two", queue="pods")
    sent = make("pods.update", "one", spec).apply_async(link_error=linked)
    with pytest.raises(Exception, match=r"spec\.image"):
        client.receive(sent, ANSWER_S)
    becomes(client, "two", "stopped")


def test_a_result_that_nobody_wants_is_not_kept(client: Client, make: Make, admin: Redis) -> None:
    sent = make("pods.stop", "one").apply_async(ignore_result=True)
    becomes(client, "one", "stopped")
    client.forget(sent)
    assert phases(client, make("pods.restart", "two").apply_async()) == ["running"]
    assert not admin.exists(f"celery-task-meta-{sent.id}")


@pytest.mark.parametrize(
    ("call", "answers"),
    [
        (("pods.stop", "one"), "stopped"),
        (("pods.update", "one", {**SPEC, "hostname": "late"}), "TaskRevokedError"),
    ],
)
def test_a_message_that_expires_on_its_way(
    call: tuple[Any, ...], answers: str, client: Client, make: Make, workers: dict[str, WorkerProcess]
) -> None:
    """If its intent was accepted in time, it is carried out and answered so; otherwise it has expired."""
    workers["there"].signal(SIGSTOP)
    try:
        expires = time() + 3
        sent = make(*call).apply_async(expires=3)
        wait_until(lambda: sent.id in workers["here"].text(), 30, what="the message on its way")
        wait_until(lambda: time() > expires, 10, what="its end")
    finally:
        workers["there"].signal(SIGCONT)
    assert client.outcome(sent).startswith(answers)
    assert client.call("get", "one")["spec"]["hostname"] is None


def test_the_very_message_goes_along(client: Client, make: Make, admin: Redis) -> None:
    """To a host without a worker: body, headers and properties are those that were sent."""
    admin.zadd("pinacle:heartbeats", {"nowhere": time()})
    options: dict[str, Any] = {
        "priority": 6,
        "expires": 3600,
        "ignore_result": True,
        "time_limit": 50,
        "soft_time_limit": 40,
        "reply_to": "somebody",
        "shadow": "a name of ours",
        "headers": {"ours": {"nested": 1}},
        "link": make("pods.list"),
        "link_error": make("pods.list"),
        "root_id": "root",
        "parent_id": "parent",
        "group_id": "group",
        "group_index": 3,
    }
    try:
        task = make("pods.reconcile", "nowhere")
        task.stamp(team="blue")
        client.forget(task.apply_async(**{**options, "queue": "parked"}))
        before = only_message(admin, "parked*")
        client.forget(task.apply_async(**options))
        after = only_message(admin, "pods.nowhere*")
    finally:
        admin.zrem("pinacle:heartbeats", "nowhere")
    assert after["headers"].pop("pinacle_hops") == 1
    assert after["headers"].pop("pinacle_accepted") is False
    own = {"id": "of this message", "expires": "a moment later"}
    assert {**after["headers"], **own} == {**before["headers"], **own}
    assert after["body"] == before["body"]
    delivery = {"delivery_tag": "", "delivery_info": "", "correlation_id": ""}
    assert {**after["properties"], **delivery} == {**before["properties"], **delivery}
    assert after["properties"]["correlation_id"] == after["headers"]["id"]
    assert after["properties"]["priority"] == options["priority"]
    assert after["content-type"], after["content-encoding"] == ("application/json", "utf-8")


def only_message(admin: Redis, pattern: str) -> Any:
    """Wait for the only message in the queues, of all priorities, that match, and take it out."""
    found: list[Any] = []

    def came() -> bool:
        found.extend(key for key in admin.scan_iter(pattern) if admin.type(key) == b"list")
        return bool(found)

    wait_until(came, 10, what=f"a message in {pattern}")
    raw: Any = admin.lpop(found[0])
    assert not admin.exists(found[0])
    return json.loads(raw)


def test_tasks_about_a_host_are_done_there(
    client: Client, make: Make, workers: dict[str, WorkerProcess]
) -> None:
    """And so is a pass that names its host; a task that names a host without a worker is refused."""
    linked = make("pods.stop", "one", queue="pods")
    sent = make("hosts.accept_storage", "there").apply_async(link=linked)
    assert client.receive(sent, ANSWER_S)["host"] == "there"
    becomes(client, "one", "stopped")
    sent = make("pods.reconcile", "there").apply_async()
    assert client.receive(sent, ANSWER_S)["pods"] == 2
    with pytest.raises(Exception, match="allowed: here, there"):
        client.receive(make("pods.reconcile", "elsewhere").apply_async(), ANSWER_S)


def test_a_message_that_goes_from_host_to_host_is_given_up(client: Client, make: Make) -> None:
    """And the answer says so: without a bound, two hosts that both point to the other would never end."""
    sent = make("pods.restart", "one").apply_async(headers={"pinacle_hops": 8})
    with pytest.raises(Exception, match="passed on 8 times"):
        client.receive(sent, ANSWER_S)
