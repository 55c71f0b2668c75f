"""What callers see of a pod."""

from typing import Any, Final

import pytest

from tests.support.situations import (
    COPIED,
    IMAGE,
    SYSTEM,
    asked_again,
    crash,
    deleting_pod,
    layout,
    new_pod,
    pod,
    stopping_pod,
    tombstone,
)
from worker.pods.model import Phase, PodState, PublishedPort, Record, System, SystemMode
from worker.pods.results import pod_result, visible_phase

PORT: Final = PublishedPort(container=80, host=8080, protocol="udp", address="::1")
OFF: Final = System(mode=SystemMode.OFF, image=IMAGE)


def test_a_result_has_what_the_contract_says() -> None:
    record = pod(
        spec={"env": {"SECRET": "1"}},
        intent={"ports": (PORT,), "created_at": "2023-11-14T22:13:20+00:00"},
        layout=layout()[:1],
        restarts=4,
        reason="it waits",
        retry_at=9.0,
        crash=crash(code=7),
    )
    result = pod_result(record, steps=("create_container",))
    spec = result.pop("spec")
    assert spec["image"] == "image"
    assert "env" not in spec
    expected: dict[str, Any] = {
        "pod_id": "a",
        "intent": "running",
        "generation": 1,
        "phase": "running",
        "host": "here",
        "created_at": "2023-11-14T22:13:20+00:00",
        "container_id": "c" * 64,
        "image": IMAGE.id,
        "system_volumes": None,
        "system_image": None,
        "volumes": [{"name": "pinacle-vol-a-workspace", "path": "/workspace", "class": "universal"}],
        "ports": [{"container": 80, "host": 8080, "protocol": "udp", "address": "::1"}],
        "restarts": 4,
        "last_error": "it waits",
        "retry_at": 9.0,
        "exit_code": 7,
        "oom_killed": False,
        "steps": ["create_container"],
    }
    assert {name: result[name] for name in expected} == expected


def test_what_is_not_known_is_null() -> None:
    result = pod_result(new_pod(image=None))
    nothing = ("container_id", "image", "last_error", "retry_at", "exit_code", "oom_killed")
    assert {name: result[name] for name in nothing} == dict.fromkeys(nothing)
    assert (result["volumes"], result["ports"], result["steps"]) == ([], [], [])
    assert pod_result(tombstone(intent={"spec": None}))["spec"] is None


def test_what_a_caller_waits_for_comes_before_what_is_noted() -> None:
    assert pod_result(pod(reason="noted"), waits_for="the lease")["last_error"] == "the lease"


@pytest.mark.parametrize(
    ("system", "mode", "image"),
    [(SYSTEM, "overlay", IMAGE.id), (COPIED, "copy", IMAGE.id), (OFF, "off", None), (None, None, None)],
)
def test_how_system_directories_are_kept(system: System | None, mode: str | None, image: str | None) -> None:
    result = pod_result(pod(layout=()).evolve(state=PodState(system=system)))
    assert (result["system_volumes"], result["system_image"]) == (mode, image)


@pytest.mark.parametrize(
    ("record", "phase"),
    [
        (pod(), Phase.RUNNING),
        (new_pod(), Phase.PENDING),
        (asked_again(), Phase.PENDING),
        (stopping_pod(), Phase.PENDING),
        (stopping_pod(settled_generation=2, phase=Phase.STOPPED), Phase.STOPPED),
        (asked_again(phase=Phase.BACKOFF), Phase.BACKOFF),
        (asked_again(phase=Phase.STORAGE_MISSING), Phase.STORAGE_MISSING),
        (asked_again(phase=Phase.FAILED), Phase.FAILED),
        (asked_again(phase=Phase.STOPPED), Phase.PENDING),
        (asked_again(failed_generation=2, phase=Phase.PENDING), Phase.PENDING),
        (deleting_pod(), Phase.DELETING),
        (deleting_pod(settled_generation=2, phase=Phase.DELETED), Phase.DELETING),
        (tombstone(), Phase.DELETED),
        (pod(intent={"generation": 3, "purge_generation": 2}), Phase.DELETING),
    ],
)
def test_the_phase_that_callers_see(record: Record, phase: Phase) -> None:
    """What was noted before an intent is not its outcome."""
    assert visible_phase(record) is phase


def test_what_is_only_there_now_and_then() -> None:
    """Whether there was such a pod, what is not certain, and what this intent kept."""
    assert pod_result(pod())["existed"]
    assert not pod_result(tombstone(intent={"unknown": True}))["existed"]
    assert pod_result(pod(intent={"unsure": ("tier",)}))["unsure"] == ["tier"]
    assert pod_result(pod(kept=("/data",), kept_generation=1))["kept"] == ["/data"]
    assert pod_result(asked_again(kept=("/data",), kept_generation=1))["kept"] == []
    changed = {"changed": ("tier",), "changed_generation": 1}
    assert pod_result(pod(intent=changed))["changed"] == ["tier"]
    assert pod_result(asked_again(intent=changed))["changed"] == []
