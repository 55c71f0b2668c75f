"""Ordinary mistakes that are not in what was typed but around it: where, by whom and on what it runs."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from redis import Redis

from tests.support.commands import Pinacle
from tests.support.locales import turkish
from tests.support.pods import Pod
from tests.support.stack import Stack
from tests.support.worker import WorkerProcess
from worker.cli.doctor.examination import _filesystem
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

IMAGE: Final = "pinacle-busybox"
SPEC: Final[dict[str, Any]] = {"image": IMAGE, "stop_timeout_s": 1}
MODES: Final = "cd /; stat -c '%A %u:%g %n' . etc etc/passwd home root opt var srv usr usr/local bin tmp"
STRICT: Final = 0o077
"""What is made is its owner's alone."""
FULL_MB: Final = 999_999_999


@pytest.fixture(scope="module")
def folder(scratch: Path) -> Path:
    """A folder with a long path with spaces and other letters, far from the code."""
    folder = scratch / "my projects" / "ĞÜŞ" / "a-folder-with-a-long-name" / "and another one" / "x"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def stack(
    *, scratch: Path, folder: Path, engine: PrivateEngine, settings: dict[str, str], busybox: str
) -> Iterator[Stack]:
    """A worker with a Redis of its own, in odd surroundings."""
    redis = RedisServer(folder / "redis")
    redis.start()
    mine = {
        **settings,
        "PINACLE_REDIS_URL": redis.url,
        "PINACLE_HOST_ID": "around",
        "PINACLE_HEARTBEAT_TTL_S": "6",
    }
    mine |= turkish(scratch / "locales")
    worker, client = WorkerProcess(folder, mine, "around", root=folder, umask=STRICT), Client(redis.url)
    worker.start()
    try:
        yield Stack(engine, redis, worker, client)
    finally:
        for pod in client.call("list")["pods"]:
            client.call("delete", pod["pod_id"])
        client.close()
        worker.stop()
        redis.stop()


@pytest.fixture(scope="module")
def pinacle(stack: Stack, folder: Path) -> Pinacle:
    """The command, in the same surroundings."""
    return Pinacle(stack.worker.settings, folder=folder, umask=STRICT)


@pytest.fixture(scope="module")
def pod(stack: Stack, pinacle: Pinacle) -> Pod:
    """A pod that the command made there, whose words have letters that Turkish has otherwise."""
    given = ("--label", "TITLE=IiI", "--env", "INIT=i", "--tier", "dev.medium")
    spec = json.dumps({**SPEC, "user": "1000"})
    assert "pod IDLI is running" in pinacle("pods", "create", "IDLI", "--spec", "-", *given, stdin=spec).out
    return Pod(stack.client, stack.engine, "IDLI")


def test_a_pods_files_have_their_modes_whatever_the_umask(stack: Stack, pod: Pod) -> None:
    """And a pod's ordinary user can use them."""
    expected = stack.engine.docker("run", "--rm", IMAGE, "sh", "-c", MODES)
    assert pod.sh(MODES).splitlines() == expected.splitlines()
    assert pod.sh("id -u; head -c 4 /etc/passwd") == "1000\nroot"


def test_mounts_are_found_below_a_path_with_spaces(folder: Path) -> None:
    """The kernel's list writes them otherwise. What is not found is not undone when an Engine is removed."""
    engine = PrivateEngine(folder / "an engine")
    point = engine.root / "of its own"
    point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(point)], check=True)
    try:
        assert engine.mounts() == [str(point)]
        assert _filesystem(point) == "tmpfs"
    finally:
        subprocess.run(["umount", str(point)], check=True)


def test_letters_of_another_language_change_nothing(pod: Pod, pinacle: Pinacle) -> None:
    """Words with I and i, sizes and times are read and shown as elsewhere."""
    plain = Pinacle(pinacle.settings, {"LC_ALL": "C.UTF-8"})
    words = ("pods", "ls", "--label", "TITLE", "--phase", "running", "--json")
    assert [each["pod_id"] for each in pinacle(*words).json()["pods"]] == [pod.id]
    assert pinacle("pods", "get", pod.id).out == plain("pods", "get", pod.id).out
    assert "INIT=i" in pod.sh("env").splitlines()


def test_a_redis_that_stops_while_an_answer_is_waited_for(stack: Stack, pinacle: Pinacle) -> None:
    """The command says under which id to ask again, and that is accepted once."""
    words = ("pods", "create", "again", "--image", IMAGE)
    with stack.worker.held(), Redis.from_url(stack.redis.url) as redis:
        # Until its last question has ended, Redis would hand the message to the worker.
        wait_until(lambda: redis.info("clients")["blocked_clients"] == 0, 20, what="the worker's question")
        with pinacle.begun(*words) as process:
            wait_until(lambda: redis.llen("pods") == 1, 20, what="the message")
            stack.redis.kill()
            out, err = process.communicate(timeout=20)
        stack.redis.start()
    assert (process.returncode, out) == (4, ""), err
    (line,) = err.splitlines()
    assert line.startswith("error: Redis went away while an answer was waited for")
    found = re.search(r"--task-id ([0-9a-f-]{36})", line)
    assert found is not None
    done = pinacle(*words, "--task-id", found[1])
    assert "pod again is running" in done.out
    assert stack.client.call("get", "again")["generation"] == 1
    assert stack.client.call("delete", "again")["phase"] == "deleted"


def test_a_second_worker_does_no_harm_and_both_say_so(stack: Stack, pinacle: Pinacle, folder: Path) -> None:
    """It is the same host to whoever asks, and each pod is made once."""
    second = WorkerProcess(folder, stack.worker.settings, "second", root=folder)
    second.start()
    try:
        (host,) = pinacle("hosts", "list", "--json").json()["hosts"]
        assert host["live"]
        sent = [stack.client.send("create", "once", SPEC) for _ in range(4)]
        assert [stack.client.outcome(one) for one in sent] == ["running"] * 4
        names = stack.engine.docker("ps", "-a", "--format", "{{.Names}}").split()
        assert names.count("pinacle-pod-once") == 1
        assert stack.client.call("delete", "once")["phase"] == "deleted"
        wait_until(
            lambda: all("host_shared" in worker.text() for worker in (stack.worker, second)),
            30,
            what="a line in both logs",
        )
        assert "another worker of this host takes its tasks too" in stack.worker.text()
    finally:
        second.stop()
    assert "Traceback" not in second.text()


def test_a_message_without_a_queue_is_named_with_what_to_do(stack: Stack, pinacle: Pinacle) -> None:
    """Celery takes its default one, which nobody reads."""
    app = Celery(broker=stack.redis.url)
    app.send_task("pods.create", args=["nobody", SPEC])
    app.close()
    try:
        report = pinacle("doctor", "--json", code=None).json()
    finally:
        with Redis.from_url(stack.redis.url) as redis:
            redis.delete("celery")
    (found,) = [check for check in report["checks"] if check["name"] == "queues"]
    assert found["status"] == "warn"
    assert "1 in 'celery'" in found["detail"]
    assert "queue='pods'" in found["remedy"]


def test_too_little_space_is_told_with_how_much_is_needed(
    stack: Stack, pod: Pod, pinacle: Pinacle, folder: Path
) -> None:
    """Before anything is made; the pods that exist run on."""
    stack.worker.stop()
    full = {**stack.worker.settings, "PINACLE_MIN_FREE_MB": str(FULL_MB)}
    worker = WorkerProcess(folder, full, "full", root=folder)
    worker.start()
    try:
        line = pinacle("pods", "create", "after", "--image", IMAGE, code=4).error()
        assert "PINACLE_MIN_FREE_MB" in line
        listed = pinacle("pods", "ls", "--json").json()["pods"]
        assert [(pod["pod_id"], pod["phase"]) for pod in listed] == [(pod.id, "running")]
        assert "pinacle-vol-after-" not in stack.engine.docker("volume", "ls", "-q")
    finally:
        worker.stop()
        stack.worker.start()
