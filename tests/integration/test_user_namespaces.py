"""An Engine with `userns-remap`: root in a pod has no rights on the host, and nothing else is different."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import PrivateEngine
from worker.local.redis import RedisServer

FIRST: Final = 300_000
"""Of the host's users that those of pods stand for."""
SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


class RemappingEngine(PrivateEngine):
    """An Engine that sees its own version of the files that say which users it may map to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, config={"userns-remap": "nobody:nogroup"})

    def command(self) -> list[str]:
        ranges = self.root / "ranges"
        ranges.write_text(f"nobody:{FIRST}:65536\nnogroup:{FIRST}:65536\n")
        script = 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"'
        inside, own = self.inside(), super().command()
        return [*inside, "unshare", "--mount", "sh", "-c", script, str(ranges), *own[len(inside) :]]


@pytest.fixture
def remapping(scratch: Path) -> Iterator[PrivateEngine]:
    # Users of pods have to pass through it to reach their own directories.
    scratch.chmod(0o711)
    engine = RemappingEngine(scratch / "u")
    engine.start()
    import_busybox(engine)
    yield engine
    engine.destroy()


@pytest.fixture
def client(
    remapping: PrivateEngine, tmp_path: Path, settings: dict[str, str], own_redis: RedisServer
) -> Iterator[Client]:
    own = {"DOCKER_HOST": remapping.url, "PINACLE_REDIS_URL": own_redis.url, "PINACLE_EGRESS": "closed"}
    worker, client = WorkerProcess(tmp_path, {**settings, **own}), Client(own_redis.url)
    worker.start()
    assert "egress_not_closed" not in worker.text()
    yield client
    client.close()
    worker.stop()


def test_a_pod_lives_and_is_brought_back_as_ever(client: Client, remapping: PrivateEngine) -> None:
    with Pod.running(client, remapping, "mapped", SPEC) as pod:
        pid = int(remapping.docker("inspect", "-f", "{{.State.Pid}}", pod.container))
        assert Path(f"/proc/{pid}").stat().st_uid == FIRST
        pod.sh(
            "id -u | grep -qx 0; echo home > /root/file; echo own > /usr/bin/mine; chmod 755 /usr/bin/mine"
        )
        pod.sh("mkdir /data; echo data > /data/file; chown 1234:4321 /data/file")
        pod.lose_container()
        pod.wait_for_another_container(60)
        assert pod.sh("cat /root/file /usr/bin/mine") == "home\nown"
        pod.sh("mkdir -p /data; echo data > /data/file; chown 1234:4321 /data/file")
        assert client.call("update", "mapped", {**SPEC, "hostname": "other"})["kept"] == ["/data"]
        assert pod.sh("cat /data/file; stat -c %u:%g /data/file") == "data\n1234:4321"
    assert "pinacle-vol-mapped" not in remapping.docker("volume", "ls", "-q")
