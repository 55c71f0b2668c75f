"""An Engine that hangs with one container, as happens with live-restore after its restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import Stack, own_stack
from worker.local.waiting import wait_until

SPEC: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}


@pytest.fixture
def stack(scratch: Path, settings: dict[str, str]) -> Iterator[Stack]:
    quick = {"PINACLE_STEP_DEADLINE_S": "2", "PINACLE_TASK_WAIT_S": "6"}
    with own_stack(scratch, {**settings, **quick}, proxied=True) as stack:
        yield stack


@pytest.mark.parametrize("looks", [False, True], ids=["removal", "removal-and-inspect"])
def test_a_removal_that_is_never_answered_is_reported_with_its_remedy_and_done_later(
    stack: Stack, looks: bool
) -> None:
    """Other pods go on. If the Engine does not even answer an inspect of that container, it is reported."""
    assert stack.proxy is not None
    pods = {pod_id: Pod(stack.client, stack.engine, pod_id) for pod_id in ("hangs", "other")}
    for pod in pods.values():
        assert pod.call("create", SPEC)["phase"] == "running"
    container_id = pods["hangs"].container_id()
    any_of_it = f"/containers/({container_id}|pinacle-pod-hangs)"
    stack.proxy.hang(any_of_it if looks else f"^DELETE {any_of_it}")
    answer = pods["hangs"].call("delete")
    assert answer["phase"] == "deleting"
    assert "restart the Engine" in answer["last_error"], answer["last_error"]
    assert stack.phases()["hangs"] == "deleting"
    pods["other"].lose_container()
    pods["other"].wait_for_another_container()
    assert pods["other"].call("update", {**SPEC, "hostname": "other"})["phase"] == "running"
    assert pods["hangs"].container_id() == container_id
    stack.proxy.hang(None)
    wait_until(lambda: "hangs" not in stack.phases(), 60, what="the deletion")
    assert pods["hangs"].container_id() is None
    left = stack.engine.docker("volume", "ls", "-q").split()
    assert not [name for name in left if name.startswith("pinacle-vol-hangs-")]
    assert pods["other"].call("delete")["phase"] == "deleted"
