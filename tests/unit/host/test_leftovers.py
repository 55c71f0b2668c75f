"""What a host does about leftovers of another host's pods."""

import asyncio
from dataclasses import replace
from typing import Final

from tests.support.fake_engine import FakeEngine, FakeVolume
from tests.support.fake_store import FakeStore
from worker.host.leftovers import Leftovers
from worker.pods import naming
from worker.pods.model import Installation, Intent, IntentKind, Record

OWN: Final = Installation(name="test", network="net")


def _labels(pod_id: str, installation: str = "test") -> dict[str, str]:
    return {
        naming.LABEL_POD: pod_id,
        naming.LABEL_INSTALLATION: installation,
        naming.LABEL_VOLUME: "home",
        naming.LABEL_INCARNATION: "one",
    }


def _pod(pod_id: str, kind: IntentKind, host: str = "there") -> Record:
    return Record(pod_id=pod_id, host=host, intent=Intent(kind=kind, generation=2, spec=None))


def _run(engine: FakeEngine, store: FakeStore) -> None:
    leftovers = Leftovers(host="here", engine=engine, store=store, installation=OWN)

    async def go() -> None:
        own = await store.load_host("here")
        await leftovers.run(own, await engine.observe_all())

    asyncio.run(go())


def _world(records: list[Record], volumes: dict[str, dict[str, str]]) -> tuple[FakeEngine, FakeStore]:
    engine, store = FakeEngine(), FakeStore()
    store.records = {record.pod_id: record for record in records}
    engine.volumes = {name: FakeVolume(labels=labels) for name, labels in volumes.items()}
    return engine, store


def test_what_another_hosts_deleted_pod_left_here_is_removed() -> None:
    engine, store = _world(
        [_pod("dead", IntentKind.DELETED)], {"pinacle-vol-dead-home": _labels("dead"), "other": {}}
    )
    _run(engine, store)
    assert set(engine.volumes) == {"other"}
    assert store.records["dead"] == _pod("dead", IntentKind.DELETED)
    assert not store.leases


def test_a_living_pod_of_another_host_is_left_alone() -> None:
    engine, store = _world([_pod("alive", IntentKind.STOPPED)], {"pinacle-vol-alive-home": _labels("alive")})
    _run(engine, store)
    assert set(engine.volumes) == {"pinacle-vol-alive-home"}


def test_what_no_record_knows_or_another_installation_made_is_left_alone() -> None:
    """An orphan is somebody's data: only a tombstone says that it may be removed."""
    engine, store = _world(
        [_pod("dead", IntentKind.DELETED)],
        {"pinacle-vol-orphan-home": _labels("orphan"), "pinacle-vol-dead-home": _labels("dead", "other")},
    )
    _run(engine, store)
    assert len(engine.volumes) == 2


def test_a_pod_made_again_meanwhile_is_left_alone() -> None:
    """The record is read again under the lease."""
    engine, store = _world([_pod("dead", IntentKind.DELETED)], {"pinacle-vol-dead-home": _labels("dead")})

    def create(operation: str) -> None:
        if operation == "lease":
            store.records["dead"] = replace(
                store.records["dead"], intent=Intent(kind=IntentKind.STOPPED, generation=3, spec=None)
            )

    store.before = create
    _run(engine, store)
    assert set(engine.volumes) == {"pinacle-vol-dead-home"}


def test_an_idle_pass_asks_the_store_for_nothing_more() -> None:
    engine, store = _world(
        [_pod("mine", IntentKind.STOPPED, "here")], {"pinacle-vol-mine-home": _labels("mine")}
    )
    asked: list[str] = []
    store.before = asked.append
    _run(engine, store)
    assert asked == ["load"]
