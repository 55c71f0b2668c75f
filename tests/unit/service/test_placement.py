"""Where a pod lives that is created again after a deletion, and which worker examines it."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN, deleting_pod, pod, tombstone
from worker.errors import HostFullError, InstallationTakenError, NetworkOpenError, RemovalUnfinishedError
from worker.host.claiming import Claiming
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.pods.model import Record
from worker.pods.requests import Create, Delete, Restart
from worker.pods.spec import PodSpec
from worker.service.examination import Examination, Forward
from worker.service.intents import Intents
from worker.service.patience import Patience
from worker.service.preflight import Preflight

SPEC: Final = PodSpec(image="image")
MOST_PODS: Final = 9
NOBODY: Final[Any] = None


class Calm:
    """Stands for a dispatcher of a host on which nothing else goes on."""

    changing = staticmethod(nullcontext)

    async def let_changes_pass(self) -> None:
        """Return at once."""


def _service(record: Record, *live: str) -> tuple[Intents, FakeStore, FakeEngine]:
    """Return the intents of host `here`, in a store with one record."""
    engine, store = FakeEngine(), FakeStore()
    engine.images["image"] = IMAGE
    store.records[record.pod_id] = record
    store.hosts = dict.fromkeys(live, 0.0)
    owned: dict[str, Any] = {"host": "here", "engine": engine, "store": store, "installation": OWN}
    claiming = Claiming(**owned)
    guard = StorageGuard(**owned, claiming=claiming)
    examination = Examination(
        host="here",
        store=store,
        hosts=frozenset({"here"}),
        rebuild=Rebuild(**owned, claiming=claiming),
        guard=guard,
        preflight=Preflight(
            **owned, clock=lambda: 1.0, free_ports=range(1, 9), min_free_mb=0, max_pods=MOST_PODS
        ),
    )
    service = Intents(
        host="here",
        store=store,
        guard=guard,
        examination=examination,
        dispatcher=Calm(),  # type: ignore[arg-type]
        patience=Patience(dispatcher=NOBODY, task_wait_s=1.0),
        clock=lambda: 1.0,
        task_wait_s=1.0,
        task_attempts=5,
    )
    return service, store, engine


async def test_if_nothing_is_left_of_the_former_one_it_is_examined_and_made_here() -> None:
    """Even if the former pod's host is dead, which does not concern the new one."""
    service, store, engine = _service(tombstone(host="there"))
    await service._accept("a", Create(spec=SPEC), "task")
    assert store.records["a"].host == "here"
    assert engine.calls["image_inspect"] == 1


async def test_a_host_that_has_as_many_pods_as_it_may_takes_no_further_one() -> None:
    """Deleted ones do not count; existing ones are changed and made again as usual."""
    service, store, _engine = _service(tombstone(host="here"))
    for number in range(MOST_PODS):
        store.records[f"p{number}"] = replace(pod(), pod_id=f"p{number}")
    with pytest.raises(HostFullError, match=r"has 9 pods.*PINACLE_MAX_PODS"):
        await service._accept("a", Create(spec=SPEC), "task")
    assert store.records["a"].intent.generation == tombstone().intent.generation
    await service._accept("p1", Create(spec=store.records["p1"].intent.spec or SPEC), "again")
    store.records["p0"] = replace(tombstone(host="here"), pod_id="p0")
    await service._accept("a", Create(spec=SPEC), "task")


async def test_on_a_network_that_lets_pods_reach_each_other_no_new_pod_is_put() -> None:
    """Existing ones are changed and made again as usual."""
    service, store, engine = _service(tombstone(host="here"))
    engine.refusal = "network n lets pods reach each other"
    with pytest.raises(NetworkOpenError, match=r"takes no new pods: network n lets .*PINACLE_NETWORK"):
        await service._accept("a", Create(spec=SPEC), "task")
    assert store.records["a"] == tombstone(host="here")
    store.records["b"] = replace(pod(), pod_id="b")
    await service._accept("b", Create(spec=store.records["b"].intent.spec or SPEC), "again")
    await service._accept("b", Restart(), "once more")
    assert store.records["b"].intent.generation > pod().intent.generation
    engine.refusal = None
    await service._accept("a", Create(spec=SPEC), "mended")


async def test_where_another_store_has_the_installation_nothing_is_looked_into_or_accepted() -> None:
    service, store, engine = _service(tombstone(host="here"))
    service._guard._claiming.problem = "it is another's"
    with pytest.raises(InstallationTakenError, match="another's"):
        await service._accept("a", Create(spec=SPEC), "task")
    assert (store.tasks, engine.calls.total()) == ({}, 0)


async def test_where_something_is_left_elsewhere_that_host_removes_it_and_makes_the_new_one() -> None:
    service, store, engine = _service(deleting_pod(host="there"), "there")
    accepted = await service._accept("a", Create(spec=SPEC), "task")
    assert accepted == Forward(host="there", accepted=False)
    assert (store.records["a"], engine.calls.total()) == (deleting_pod(host="there"), 0)


async def test_where_that_host_is_dead_the_name_waits_for_it_and_nothing_is_written() -> None:
    service, store, engine = _service(deleting_pod(host="there"))
    with pytest.raises(RemovalUnfinishedError, match="is on host there, which has no heartbeat; allowed"):
        await service._accept("a", Create(spec=SPEC), "task")
    assert (store.records["a"], store.tasks, engine.calls.total()) == (deleting_pod(host="there"), {}, 0)


async def test_a_deletion_that_comes_again_stays_where_the_pod_was() -> None:
    service, store, _ = _service(tombstone(host="there"))
    await service._accept("a", Delete(), "task")
    assert store.records["a"].host == "there"
