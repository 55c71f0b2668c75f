"""Redis moves to another place with its data: the pods go on as they were, and by what was asked for."""

import shutil
from pathlib import Path
from typing import Final

from tests.support.pods import Pod
from tests.support.stack import own_stack
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.redis import RedisServer

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1, "env": {"TOKEN": "mine"}}


def test_a_redis_that_was_moved_with_its_data_is_the_same_one(
    scratch: Path, settings: dict[str, str]
) -> None:
    """By the lines of docs/moving.md: nothing is rebuilt, no container is made again, deletions are known."""
    with own_stack(scratch, settings) as stack:
        for pod_id in ("runs", "rests", "gone"):
            assert stack.client.call("create", pod_id, SPEC)["phase"] == "running"
        assert stack.client.call("stop", "rests")["phase"] == "stopped"
        assert stack.client.call("delete", "gone")["phase"] == "deleted"
        runs = Pod(stack.client, stack.engine, "runs")
        before = {pod_id: stack.client.call("get", pod_id) for pod_id in ("runs", "rests")}
        stack.worker.stop()
        stack.redis.stop()
        moved = RedisServer(scratch / "moved")
        shutil.copytree(stack.redis.folder, moved.folder)
        moved.start()
        worker = WorkerProcess(scratch, {**stack.worker.settings, "PINACLE_REDIS_URL": moved.url}, "moved")
        client = Client(moved.url)
        try:
            worker.start()
            after = {pod_id: client.call("get", pod_id) for pod_id in before}
            for key in ("phase", "container_id", "generation", "spec", "volumes", "unsure"):
                assert [pod[key] for pod in after.values()] == [pod[key] for pod in before.values()], key
            assert client.call("get", "gone")["phase"] == "deleted"
            assert "pod_rebuilt" not in worker.text()
            runs.lose_container()
            runs.wait_for_another_container()
            assert client.call("start", "rests")["phase"] == "running"
            for pod_id in before:
                assert client.call("delete", pod_id)["phase"] == "deleted"
        finally:
            client.close()
            worker.stop()
            moved.stop()
            stack.redis.start()
            stack.worker.start()
