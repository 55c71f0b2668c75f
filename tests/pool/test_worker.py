"""A worker whose host has a pool: what it says and does when that is not what it was."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import HELPER, Stack
from tests.support.worker import ROOT
from worker.local.images import import_helper
from worker.local.pool_file import PoolFile
from worker.local.waiting import wait_until

SPEC: Final[dict[str, Any]] = {"image": "pinacle-busybox", "stop_timeout_s": 1}


def doctor(stack: Stack) -> dict[str, Any]:
    """Return what the doctor says of the pool."""
    command = [sys.executable, "-m", "worker.cli", "doctor", "--json"]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **stack.worker.settings}
    done = subprocess.run(command, check=False, capture_output=True, cwd=ROOT, env=environment)
    (found,) = (each for each in json.loads(done.stdout)["checks"] if each["name"] == "pool")
    return dict(found)


def has_phase(stack: Stack, pod_id: str, phase: str) -> None:
    wait_until(lambda: stack.phases().get(pod_id) == phase, 30, what=f"pod {pod_id}: {phase}")


def test_a_pod_is_on_the_pool_and_its_use_is_told(stack: Stack, pool: PoolFile) -> None:
    made = stack.client.call("create", "a", SPEC)
    assert (made["phase"], made["system_volumes"]) == ("running", "pool")
    assert {path.name for path in (pool.seen / "pods").iterdir()} == {"a"}
    told = doctor(stack)
    assert told["status"] == "ok", told
    assert str(pool.place) in told["detail"]


def test_a_worker_that_starts_before_its_pool_is_mounted_goes_on_by_itself(
    stack: Stack, pool: PoolFile
) -> None:
    """It says why its pods wait, and nothing is made below the empty mount point."""
    pod = Pod(stack.client, stack.engine, "a")
    stack.client.call("create", "a", SPEC)
    pod.sh("echo mine > /home/mine")
    stack.client.call("stop", "a")
    stack.worker.stop()
    pool.unmount()
    stack.worker.start()
    has_phase(stack, "a", "storage_missing")
    assert "mount" in stack.client.call("get", "a")["last_error"]
    assert stack.client.call("create", "b", SPEC)["phase"] == "storage_missing"
    assert doctor(stack)["status"] == "fail"
    assert list(pool.place.iterdir()) == []
    pool.mount()
    has_phase(stack, "b", "running")
    assert stack.client.call("start", "a")["phase"] == "running"
    assert pod.sh("cat /home/mine") == "mine"


def test_another_pool_gets_no_pod_until_a_person_accepts_it(stack: Stack, pool: PoolFile) -> None:
    """Then pods whose data was on the first one can be deleted."""
    stack.client.call("create", "a", SPEC)
    stack.client.call("stop", "a")
    other = PoolFile(stack.engine, import_helper(stack.engine, ROOT / ".pinacle" / "cache", HELPER), "other")
    stack.worker.stop()
    pool.unmount()
    other.mount(pool.place)
    stack.worker.start()
    assert stack.client.call("create", "b", SPEC)["phase"] == "storage_missing"
    assert "hosts.accept_storage" in stack.client.call("get", "b")["last_error"]
    assert list(pool.seen.iterdir()) == []
    accepted = stack.client.call_task("hosts.accept_storage", stack.client.call("get", "b")["host"])
    assert accepted["pool"]
    has_phase(stack, "b", "running")
    has_phase(stack, "a", "storage_missing")
    assert stack.client.call("delete", "a")["phase"] == "deleted"
    assert stack.client.call("delete", "b")["phase"] == "deleted"
    pool.unmount()
    pool.mount()
    stack.client.call_task("hosts.accept_storage", accepted["host"])
    assert stack.client.call("create", "c", SPEC)["phase"] == "running"


@contextmanager
def read_only(pool: PoolFile) -> Iterator[None]:
    pool.make_read_only()
    try:
        yield
    finally:
        pool.make_writable()


@contextmanager
def full(pool: PoolFile) -> Iterator[None]:
    """Take all room of a pool, down to the last byte, which no limit keeps for others."""
    hog = pool.seen / "hog"
    try:
        take_all(hog)
        yield
    finally:
        hog.unlink()


def take_all(hog: Path) -> None:
    with hog.open("wb", buffering=0) as file:
        for size in (10**8, 10**6, 4096):
            try:
                while True:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - a limit would be another failure


def ask_of_read_only(stack: Stack) -> None:
    assert stack.client.call("create", "new", SPEC)["phase"] != "running"
    assert "Read-only" in stack.client.call("get", "new")["last_error"]


def ask_of_full(stack: Stack) -> None:
    assert "0 MB free on its pool" in stack.client.error("create", "new", SPEC)


@pytest.mark.parametrize(("harm", "ask"), [(read_only, ask_of_read_only), (full, ask_of_full)])
def test_where_nothing_can_be_written_nothing_is_lost_and_all_goes_on_later(
    stack: Stack,
    pool: PoolFile,
    harm: Callable[[PoolFile], AbstractContextManager[None]],
    ask: Callable[[Stack], None],
) -> None:
    """Pods run on and stop; what is asked for meanwhile is refused, or done once it can be."""
    pods = {name: Pod(stack.client, stack.engine, name) for name in ("stays", "goes")}
    for name, pod in pods.items():
        assert stack.client.call("create", name, SPEC)["phase"] == "running"
        pod.sh(f"echo {name} > /home/mine; sync")
    with harm(pool):
        ask(stack)
        told = doctor(stack)
        assert told["status"] != "ok", told
        for pod in pods.values():
            assert pod.sh("cat /home/mine") == pod.id
        assert pods["stays"].call("stop")["phase"] == "stopped"
        stack.client.call("delete", "goes")
    stack.client.call("create", "new", SPEC)
    has_phase(stack, "new", "running")
    assert pods["stays"].call("start")["phase"] == "running"
    assert pods["stays"].sh("cat /home/mine") == "stays"
    wait_until(lambda: "goes" not in stack.phases(), 60, what="its end")
    there = {path.name for path in (pool.seen / "pods").iterdir()}
    assert {"stays", "new"} <= there
    assert "goes" not in there


def test_a_full_pod_can_be_entered_emptied_enlarged_and_removed(stack: Stack, pool: PoolFile) -> None:
    """And it stops, starts and comes back; a smaller tier is refused; its neighbour writes on."""
    pod, neighbour = (Pod(stack.client, stack.engine, pod_id) for pod_id in ("full", "beside"))
    for each in (pod, neighbour):
        assert stack.client.call("create", each.id, SPEC)["phase"] == "running"
    pod.sh("fallocate -l 19900000000 /home/much")
    refused = pod.sh("head -c 300000000 /dev/zero > /var/more || echo refused; sync; stat -c %s /var/more")
    assert refused.startswith("refused")
    assert int(refused.split()[1]) <= 110 * 10**6, "it ends within 10 MB of its limit"
    neighbour.sh("head -c 30000000 /dev/zero > /home/file")
    wait_until(lambda: (pod.call("get")["disk_bytes"] or 0) > 19.9e9, 30, what="a measurement")
    assert pod.call("get")["disk_limit_bytes"] == 20 * 10**9
    assert "pod_near_its_limit" in stack.worker.text()
    for task in ("stop", "start"):
        assert pod.call(task)["phase"] == {"stop": "stopped", "start": "running"}[task]
    pod.lose_container()
    pod.wait_for_another_container()
    assert pod.sh("ls /home") == "much"
    assert pod.call("update", {"tier": "dev.medium"})["phase"] == "running"
    pod.sh("head -c 300000000 /dev/zero > /var/more; sync")
    assert "may keep 20 GB" in stack.client.error("update", pod.id, {"tier": "dev.small"})
    pod.sh("rm /var/more /home/much; sync")
    wait_until(lambda: pod.call("get")["disk_bytes"] < 10**8, 30, what="a measurement of what is left")
    assert pod.call("update", {"tier": "dev.small"})["phase"] == "running"
    pod.sh("fallocate -l 19900000000 /srv/much; head -c 300000000 /dev/zero > /opt/more || true")
    assert pod.call("delete")["phase"] == "deleted"
    assert "full" not in {path.name for path in (pool.seen / "pods").iterdir()}
