"""What will never work is told as `failed`, in the Engine's words; what may work later is not."""

from typing import Any

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.engine import PrivateEngine
from worker.local.waiting import wait_until

pytestmark = pytest.mark.usefixtures("busybox")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"user": "root:nosuchgroup"}, "nosuchgroup"),
        ({"user": "nosuchuser"}, "nosuchuser"),
        ({"working_dir": "/proc/nowhere"}, "/proc/nowhere"),
        ({"working_dir": "/sys/nowhere"}, "/sys/nowhere"),
        ({"working_dir": "/etc/passwd/below"}, "passwd"),
    ],
    ids=str,
)
def test_what_the_engine_never_does_is_failed_with_its_words(
    client: Client, engine: PrivateEngine, wrong: dict[str, Any], words: str
) -> None:
    """Also where it calls it an error of its own (500); the update that mends it is taken up at once."""
    spec = {"image": "pinacle-busybox", "stop_timeout_s": 1}
    client.call("create", "wrong", {**spec, **wrong})
    pod = Pod(client, engine, "wrong")
    try:
        wait_until(lambda: pod.call("get")["phase"] == "failed", 60, what="failed")
        assert words in pod.call("get")["last_error"]
        assert pod.call("update", spec)["phase"] == "running"
    finally:
        client.call("delete", "wrong")
