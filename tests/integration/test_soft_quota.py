"""Without a pool nothing ends a pod at its limit; if it is asked for, a worker stops it and says why."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    own = {
        "PINACLE_SOFT_QUOTA": "stop",
        "PINACLE_SOFT_QUOTA_GRACE_S": "3",
        "PINACLE_TIER_STORAGE_GB": "0.1,0.2,0.3,0.4",
        "PINACLE_DISK_INTERVAL_S": "0.5",
    }
    with own_stack(scratch, {**settings, **own}) as made:
        yield made


def test_a_pod_over_its_limit_is_stopped_with_the_reason_and_its_owner_can_make_room(stack: Stack) -> None:
    spec = {"image": "pinacle-busybox", "stop_timeout_s": 1}
    with Pod.running(stack.client, stack.engine, "much", spec) as pod:
        pod.sh("head -c 120000000 /dev/zero > /srv/much; sync")
        wait_until(lambda: pod.call("get")["phase"] == "stopped", 60, what="a stop")
        told = pod.call("get")
        assert "kept 0.12 GB, and a pod of tier dev.small may keep 0.1 GB" in told["last_error"]
        assert (told["intent"], told["disk_limit_bytes"], told["over_quota"]) == ("stopped", 10**8, True)
        # A larger tier has room for it.
        pod.call("update", {"tier": "dev.medium"})
        assert pod.call("start")["phase"] == "running"
        assert pod.call("get")["last_error"] is None
        measured = pod.call("get")["disk_measured_at"]
        pod.sh("rm /srv/much; sync")
        wait_until(lambda: not pod.call("get")["over_quota"], 60, what="a measurement")
        assert pod.call("get")["disk_measured_at"] >= measured
        assert pod.call("update", {"tier": "dev.small"})["phase"] == "running"
