"""What is answered about the use of pods: whoever was not measured in time is named."""

import asyncio
from typing import Any, Final

import pytest

from tests.support.fake_store import FakeStore
from tests.support.situations import OWN, pod, stopping_pod
from worker.errors import EngineUnavailableError, HostAwayError, NotRunningError, ObjectMissingError
from worker.interfaces import DiskUse, Usage
from worker.service.inside.usage import PodsUsage
from worker.service.patience import Patience

NOBODY: Final[Any] = None
USED: Final = Usage(
    measured_at="2026-11-27T10:00:00Z",
    started_at="2026-11-27T09:00:00Z",
    cpu_seconds=1.5,
    memory_bytes=5,
    memory_limit_bytes=9,
    pids=1,
    pids_limit=7,
    network_received_bytes=1,
    network_sent_bytes=2,
    block_read_bytes=None,
    block_written_bytes=None,
)


class Meter:
    """Measures at once, except containers that hang or fail; counts how many are measured at a time."""

    def __init__(self) -> None:
        self.hanging: set[str] = set()
        self.failing: dict[str, Exception] = {}
        self.now = self.most = self.readings = 0

    async def usage(self, container_id: str, *, deadline_s: float) -> Usage:
        self.now += 1
        self.readings += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            if container_id in self.hanging:
                await asyncio.Event().wait()
            if container_id in self.failing:
                raise self.failing[container_id]
        finally:
            self.now -= 1
        return USED


def usage(meter: Meter, *ids: str, **more: Any) -> tuple[PodsUsage, FakeStore]:
    store = FakeStore()
    for each in ids:
        store.records[each] = pod(container_id=each).evolve(pod_id=each)
    patience = Patience(dispatcher=NOBODY, task_wait_s=1.0)
    return PodsUsage(
        host="here", store=store, meter=meter, patience=patience, installation=OWN, **more
    ), store


async def test_running_pods_of_this_host_are_measured_a_few_at_a_time() -> None:
    meter = Meter()
    own, store = usage(meter, *(f"p{number}" for number in range(100)))
    store.records["away"] = pod().evolve(pod_id="away", host="elsewhere")
    store.records["ends"] = stopping_pod().evolve(pod_id="ends")
    answer = await own.of_host()
    assert [each["pod_id"] for each in answer["pods"]] == sorted(f"p{number}" for number in range(100))
    assert answer["unmeasured"] == []
    assert meter.most == 64


async def test_what_was_not_measured_is_named() -> None:
    meter = Meter()
    meter.hanging.add("b")
    meter.failing = {"c": EngineUnavailableError("no answer"), "d": ObjectMissingError("gone")}
    own, _ = usage(meter, "a", "b", "c", "d", all_s=0.2)
    answer = await own.of_host()
    assert [each["pod_id"] for each in answer["pods"]] == ["a"]
    reasons = {each["pod_id"]: each["reason"] for each in answer["unmeasured"]}
    assert reasons.keys() == {"b", "c", "d"}
    assert "0.2 s" in reasons["b"]
    assert reasons["c"] == "no answer"


async def test_one_pod_is_measured_where_it_is() -> None:
    own, store = usage(Meter(), "a")
    answer: Any = await own.of_pod("a")
    assert answer["pods"][0]["cpu_seconds"] == 1.5
    store.records["away"] = pod().evolve(pod_id="away", host="elsewhere")
    with pytest.raises(HostAwayError):
        await own.of_pod("away")
    store.records["new"] = pod(container_id=None).evolve(pod_id="new")
    with pytest.raises(NotRunningError):
        await own.of_pod("new")


async def test_the_disk_is_told_with_its_age_and_the_tiers_limit() -> None:
    """Null stands for what was not measured, as in all of these answers."""
    known = {"a": DiskUse(used=7, measured_at=60.0)}
    own, _ = usage(Meter(), "a", "b", on_disk=known.get)
    a, b = (await own.of_host())["pods"]
    assert (a["disk_bytes"], a["disk_measured_at"]) == (7, "1970-01-01T00:01:00+00:00")
    assert a["disk_limit_bytes"] == b["disk_limit_bytes"] == 20 * 10**9
    assert (b["disk_bytes"], b["disk_measured_at"]) == (None, None)


async def test_callers_at_the_same_time_share_the_readings() -> None:
    """Otherwise one caller could keep the Engine from answering the others."""
    meter = Meter()
    own, _ = usage(meter, *(f"p{number}" for number in range(10)))
    answers = await asyncio.gather(*(own.of_host() for _ in range(50)))
    assert all(len(answer["pods"]) == 10 for answer in answers)
    assert meter.readings == 10
    await own.close()
