"""What the pages for operators say about backups and moving, done exactly."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.acceptance.compose.conftest import PROJECT, Ask, call
from tests.acceptance.conftest import CACHE, ROOT
from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.compose import compose_program
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer
from worker.local.waiting import wait_until

FILE = "/home/letters"
FORCE = True
Lines = Callable[[str], None]


@pytest.fixture
def lines(
    environment: dict[str, str], engine: PrivateEngine, python_base: str, tmp_path: Path
) -> Iterator[Lines]:
    """Run a block of the document in a folder of its own; its `docker compose` is this stack's."""
    compose = f"{compose_program(CACHE)} -p {PROJECT} -f {ROOT}/docker-compose.yml"
    docker = (
        f'docker() {{ if [ "$1" = compose ]; then shift; {compose} "$@"; else {find("docker")} "$@"; fi; }}'
    )

    def run(title: str) -> None:
        script = _block(title).replace("pinacle_redis", f"{PROJECT}_redis")
        done = subprocess.run(
            ["bash", "-euc", f"{docker}\n{script}"],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=180,
        )
        assert done.returncode == 0, f"{title}: {done.stdout}{done.stderr}"

    engine.docker("tag", python_base, "debian:12-slim")
    yield run
    engine.docker("rmi", "debian:12-slim")


def _block(title: str) -> str:
    text = "".join((ROOT / "docs" / page).read_text() for page in ("operations.md", "moving.md"))
    found = re.search(rf"<!-- {title}\b[^>]*-->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"there is no block {title!r}"
    return found[1]


def _is_known(ask: Ask, pod_id: str) -> bool:
    """Whether Flower and a worker are back, and know the pod."""
    status, text = ask("POST", "/api/task/apply/pods.get", {"args": [pod_id]})
    return status == HTTPStatus.OK and '"state": "SUCCESS"' in text


def test_what_was_backed_up_comes_back(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine, lines: Lines
) -> None:
    """A volume with its owners; then the requests, with a pod that the backup does not know."""
    assert call(ask, "create", "abc", {"image": "pinacle-busybox"})["phase"] == "running"
    pod = Pod(Client("redis://nobody"), engine, "abc")
    pod.sh(f"echo mine > {FILE}; chown 1000:1000 {FILE}; chmod 600 {FILE}; ln {FILE} /home/link")
    kept = pod.sh(f"cat {FILE}; stat -c '%u %g %a %h' {FILE}")
    lines("redis, backed up")
    wait_until(lambda: _is_known(ask, "abc"), 90, what="the stack's answer after its start")
    lines("a volume, backed up")
    assert call(ask, "create", "later", {"image": "pinacle-busybox"})["phase"] == "running"
    assert call(ask, "stop", "abc")["phase"] == "stopped"

    # Otherwise a worker would make a container again in between, and the Engine an empty volume for it.
    compose("pause", "worker")
    engine.docker("rm", pod.container)
    engine.docker("volume", "rm", "pinacle-vol-abc-home")
    compose("unpause", "worker")
    missing = call(ask, "start", "abc")
    assert missing["phase"] == "storage_missing"
    made = re.search(r"`docker (volume create .*?)`", missing["last_error"])
    assert made is not None
    engine.docker(*made[1].split())
    lines("a volume, restored")
    assert pod.sh(f"cat {FILE}; stat -c '%u %g %a %h' {FILE}") == kept

    assert call(ask, "stop", "abc")["phase"] == "stopped"
    lines("redis, restored")
    wait_until(lambda: _is_known(ask, "abc"), 90, what="the stack's answer after its start")
    listed = json.loads(compose("exec", "-T", "worker", "pinacle", "pods", "list", "--orphans", "--json"))
    assert [pod["pod_id"] for pod in listed["pods"]] == ["abc"]
    assert [(each["pod_id"], each["container"]) for each in listed["orphans"]] == [("later", "running")]
    restored = call(ask, "get", "abc")
    assert restored["intent"] == "running", "as was asked for when it was backed up"
    assert restored["phase"] == "storage_missing", "this Redis does not know that its volume counts again"
    assert call(ask, "restart", "abc", FORCE)["phase"] == "running"
    assert pod.sh(f"cat {FILE}") == "mine"
    later = Pod(Client("redis://nobody"), engine, "later")
    first = later.container_id()
    assert call(ask, "create", "later", {"image": "pinacle-busybox"})["phase"] == "running"
    assert later.container_id() == first, "it was taken up as it ran"
    for name in ("abc", "later"):
        assert call(ask, "delete", name)["phase"] == "deleted"


def test_a_stack_of_compose_goes_on_as_services(
    compose: Callable[..., str], ask: Ask, engine: PrivateEngine, lines: Lines, tmp_path: Path
) -> None:
    """Another Redis gets its data, and a worker that is no container the pods, as they run."""
    for pod_id in ("runs", "gone"):
        assert call(ask, "create", pod_id, {"image": "pinacle-busybox"})["phase"] == "running"
    assert call(ask, "delete", "gone")["phase"] == "deleted"
    first = Pod(Client("redis://nobody"), engine, "runs").container_id()
    lines("compose, to services")
    redis = RedisServer(tmp_path / "redis")
    redis.folder.mkdir()
    subprocess.run(["tar", "-C", redis.folder, "-xpf", tmp_path / "redis.tar"], check=True)
    redis.start()
    given = {"DOCKER_HOST": engine.url, "PINACLE_REDIS_URL": redis.url, "PINACLE_RECONCILE_INTERVAL_S": "3"}
    worker, client = WorkerProcess(tmp_path, given), Client(redis.url)
    try:
        worker.start()
        pod = Pod(client, engine, "runs")
        assert [(each["pod_id"], each["phase"]) for each in client.call("list")["pods"]] == [
            ("runs", "running")
        ]
        assert pod.container_id() == first
        assert client.call("get", "gone")["phase"] == "deleted", "it is remembered"
        assert "pod_rebuilt" not in worker.text()
        pod.lose_container()
        pod.wait_for_another_container()
    finally:
        client.close()
        worker.stop()
        redis.stop()
        compose("start")
    wait_until(lambda: _is_known(ask, "runs"), 90, what="the stack's answer after its start")
    assert call(ask, "delete", "runs")["phase"] == "deleted"
