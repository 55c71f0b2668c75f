"""What the reconciler may expect of a store: of the fake, and of a real Redis."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from tests.support.fake_store import FakeStore
from worker.errors import (
    GenerationConflictError,
    LeaseHeldError,
    LeaseLostError,
    PortTakenError,
    RecordUnreadableError,
)
from worker.interfaces import DiskUse, Progress, Proposal, Store
from worker.pods.model import Intent, IntentKind, Phase, PodState, PublishedPort, Record
from worker.pods.spec import PodSpec
from worker.store.leases import RedisLease
from worker.store.redis_store import RedisStore

SPEC: Final = PodSpec(image="image", env={"KEY": "value"})
TTL_S: Final = 0.3
TAKEOVER_S: Final = 0.3


class FakeClock:
    """Lets time pass: for the fake by setting its clock, for Redis by waiting."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pass_time(self, seconds: float) -> None:
        if isinstance(self._store, FakeStore):
            self._store.now += seconds
        else:
            await asyncio.sleep(seconds)


@pytest.fixture(params=["fake", "real"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    store: Any
    if request.param == "fake":
        store = FakeStore(lease_ttl_s=TTL_S, takeover_delay_s=TAKEOVER_S)
    else:
        store = make_store(request.getfixturevalue("redis_url"))
    yield store
    await store.close()


def make_store(url: str) -> RedisStore:
    return RedisStore(
        url, lease_ttl_s=TTL_S, takeover_delay_s=TAKEOVER_S, heartbeat_ttl_s=1.0, socket_timeout_s=2.0
    )


def proposal(pod_id: str, generation: int, task_id: str, **intent: Any) -> Proposal:
    values: dict[str, Any] = {"kind": IntentKind.RUNNING, "generation": generation, "spec": SPEC} | intent
    return Proposal(
        pod_id=pod_id,
        task_id=task_id,
        expected_generation=generation - 1,
        host="here",
        intent=Intent(**values),
    )


def port(host: int, address: str = "127.0.0.1") -> PublishedPort:
    return PublishedPort(container=80, host=host, protocol="tcp", address=address)


async def recorded(store: Store, pod_id: str = "a") -> Record:
    record = await store.load(pod_id)
    assert record is not None
    return record


async def test_an_accepted_intent_is_there_with_all_of_its_spec(store: Store) -> None:
    """With its env; and there is no record of an unknown pod."""
    assert await store.load("a") is None
    accepted = await store.accept(proposal("a", 1, "t1"))
    assert (accepted.generation, accepted.seen_before) == (1, False)
    assert (await recorded(store)).intent.spec == SPEC
    assert (await store.load_host("here")).keys() == {"a"} == (await store.load_all()).keys()
    assert await store.load_host("there") == {}


async def test_some_records_are_read_by_their_ids(store: Store) -> None:
    """In the order of all ids; those of which there is none are left out."""
    for pod_id in ("c", "a", "B"):
        await store.accept(proposal(pod_id, 1, f"create {pod_id}"))
    assert list(await store.pod_ids()) == ["B", "a", "c"]
    assert list(await store.load_some(["a", "b", "c"])) == ["a", "c"]
    assert await store.load_some([]) == {}


async def test_a_task_sets_an_intent_once(store: Store) -> None:
    """A late copy of a creation does not bring a deleted pod back."""
    await store.accept(proposal("a", 1, "create"))
    await store.accept(proposal("a", 2, "delete", kind=IntentKind.DELETED, purge_generation=2))
    again = await store.accept(proposal("a", 3, "create"))
    assert (again.generation, again.seen_before) == (1, True)
    assert (await recorded(store)).intent.kind is IntentKind.DELETED
    assert await store.accepted_generation("create") == 1
    assert await store.accepted_generation("other") is None


async def test_of_ten_for_one_generation_one_is_accepted(store: Store) -> None:
    """The others have to look again."""
    answers = await asyncio.gather(
        *(store.accept(proposal("a", 1, f"t{number}")) for number in range(10)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, GenerationConflictError)]
    assert len(refused) == 9


async def test_a_lease_is_exclusive_until_it_is_released(store: Store) -> None:
    """Then it is free at once, with a higher token."""
    await store.accept(proposal("a", 1, "t1"))
    first = await store.lease("a")
    assert 0 < first.remaining() <= TTL_S
    with pytest.raises(LeaseHeldError):
        await store.lease("a")
    await store.release("a", first)
    second = await store.lease("a")
    assert second.token > first.token
    await store.release("a", second)


async def test_an_abandoned_lease_expires(store: Store) -> None:
    """Nobody renews it: it can be taken again once it has expired and its last step has ended, not before."""
    await store.accept(proposal("a", 1, "t1"))
    first = await store.lease("a")
    store.abandon(first)
    with pytest.raises(LeaseHeldError):
        await store.lease("a")
    time = FakeClock(store)
    await time.pass_time(TTL_S + 0.05)
    assert first.remaining() <= 0
    await time.pass_time(TAKEOVER_S)
    second = await store.lease("a")
    assert second.token > first.token
    await store.release("a", second)


async def test_a_lost_lease_saves_nothing(store: Store) -> None:
    """A former holder is refused, even if nobody else has the lease."""
    await store.accept(proposal("a", 1, "t1"))
    record = await recorded(store)
    old = await store.lease("a")
    await store.release("a", old)
    new = await store.lease("a")
    changed = replace(record, state=PodState(phase=Phase.RUNNING))
    with pytest.raises(LeaseLostError):
        await store.save(changed, old)
    await store.save(changed, new)
    assert (await recorded(store)).state.phase is Phase.RUNNING
    await store.release("a", new)
    with pytest.raises(LeaseLostError):
        await store.save(record, new)


async def test_a_save_never_touches_the_intent(store: Store) -> None:
    """An intent accepted while somebody works on the pod stays."""
    await store.accept(proposal("a", 1, "t1"))
    lease, record = await store.lease("a"), await recorded(store)
    await store.accept(proposal("a", 2, "t2", kind=IntentKind.STOPPED))
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    assert (await recorded(store)).intent.kind is IntentKind.STOPPED
    await store.release("a", lease)


@pytest.mark.parametrize(
    ("mine", "other"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")],  # noqa: S104 - compared
)
async def test_a_host_port_is_reserved_for_one_pod(store: Store, mine: str, other: str) -> None:
    """Until the pod is gone: through stop and deletion, and on every address if one is a wildcard."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080, mine),)))
    await store.accept(proposal("a", 2, "t2", kind=IntentKind.STOPPED, ports=(port(8080, mine),)))
    with pytest.raises(PortTakenError, match=r"8080.*'a'"):
        await store.accept(proposal("b", 1, "t3", ports=(port(8080, other),)))
    assert await store.load("b") is None
    await store.accept(proposal("b", 1, "t4", ports=(port(8081, other),)))
    assert {owner for _, owner in await store.reserved_ports("here")} == {"a", "b"}


async def test_ports_are_given_back_when_the_pod_is_gone(store: Store) -> None:
    """Not as soon as its deletion is accepted: its container may still be bound to them."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    deleted = {"kind": IntentKind.DELETED, "purge_generation": 2, "ports": (port(8080),)}
    await store.accept(proposal("a", 2, "t2", **deleted))
    assert len(await store.reserved_ports("here")) == 1
    lease, record = await store.lease("a"), await recorded(store)
    await store.save(replace(record, state=PodState(purged_generation=2, phase=Phase.DELETED)), lease)
    assert list(await store.reserved_ports("here")) == []
    await store.release("a", lease)


async def test_ports_move_within_one_intent(store: Store) -> None:
    """Their reservations move along; the generation stays, as nobody asked for anything."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080), port(8081))))
    lease, record = await store.lease("a"), await recorded(store)
    await store.move_ports(record, (port(8080), port(9000)), lease)
    moved = await recorded(store)
    assert moved.intent == record.intent.evolve(ports=(port(8080), port(9000)))
    assert {(p.host, owner) for p, owner in await store.reserved_ports("here")} == {(8080, "a"), (9000, "a")}
    await store.release("a", lease)


async def test_ports_do_not_move_against_another_pod_intent_or_lease(store: Store) -> None:
    """Then nothing is written."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    await store.accept(proposal("b", 1, "t2", ports=(port(9000, "0.0.0.0"),)))  # noqa: S104 - not bound
    lease, record = await store.lease("a"), await recorded(store)
    with pytest.raises(PortTakenError, match="reserved by pod 'b'"):
        await store.move_ports(record, (port(9000),), lease)
    await store.accept(proposal("a", 2, "t3", ports=(port(8080),)))
    with pytest.raises(GenerationConflictError):
        await store.move_ports(record, (port(9001),), lease)
    await store.release("a", lease)
    latest = await recorded(store)
    with pytest.raises(LeaseLostError):
        await store.move_ports(latest, (port(9001),), lease)
    assert await recorded(store) == latest
    assert {(p.host, owner) for p, owner in await store.reserved_ports("here")} == {(8080, "a"), (9000, "b")}


async def test_attempts_are_counted_for_each_task(store: Store) -> None:
    """As the broker does not."""
    assert [await store.count_attempt("t1") for _ in range(3)] == [1, 2, 3]
    assert await store.count_attempt("t2") == 1


async def test_attempts_are_counted_again_once_the_task_was_accepted(store: Store) -> None:
    """The attempts before that led to its acceptance."""
    for _ in range(3):
        await store.count_attempt("t1")
    await store.accept(proposal("a", 1, "t1"))
    assert await store.count_attempt("t1") == 1


async def test_what_a_task_asks_for_begins_once(store: Store) -> None:
    """A command that runs twice may do harm that its caller did not ask for."""
    assert [await store.begin_once("t1") for _ in range(3)] == [True, False, False]
    assert await store.begin_once("t2")


async def test_how_far_a_pull_has_come_is_known_until_it_ends(store: Store) -> None:
    """Of each pod by itself; followers hear only news."""
    await store.accept(proposal("a", 1, "t1"))
    record = await recorded(store)
    assert await store.progress("a") is None
    for done, is_news in ((1, True), (2, False)):
        far = Progress(image="i", done_bytes=done, total_bytes=9, done_layers=0, total_layers=3)
        await store.tell_progress(record, far, is_news=is_news)
        assert await store.progress("a") == far
    assert await store.progress("b") is None
    await store.forget_progress("a")
    await store.forget_progress("b")
    assert await store.progress("a") is None


async def test_a_host_is_live_after_a_heartbeat(store: Store) -> None:
    """And only then."""
    assert await store.live_hosts() == frozenset()
    assert await store.beat_heart("here")
    assert await store.live_hosts() == {"here"}
    await store.stop_heart("here")
    assert await store.live_hosts() == frozenset()


async def test_a_second_worker_of_a_host_is_noticed_by_both(redis_url: str) -> None:
    """Also by the first, once it beats again; and nobody is noticed by itself."""
    one, other = make_store(redis_url), make_store(redis_url)
    assert [await one.beat_heart("here") for _ in range(3)] == [True] * 3
    assert await other.beat_heart("here"), "the one before may have died"
    for store in (one, other):
        assert not await store.beat_heart("here")
    assert [await other.beat_heart("there") for _ in range(2)] == [True] * 2
    for store in (one, other):
        await store.close()


async def test_a_dead_holders_lease_is_taken_over_after_its_last_step(redis_url: str) -> None:
    """Not when it expires, but one step's deadline later."""
    dead, heir = make_store(redis_url), make_store(redis_url)
    lease = await dead.lease("a")
    # The holder dies: nobody renews the lease any more, and nobody gives it back.
    assert isinstance(lease, RedisLease)
    assert lease.renewal is not None
    lease.renewal.cancel()
    await dead.close()
    clock = asyncio.get_running_loop().time
    began = clock()
    taken = None
    while taken is None:
        try:
            taken = await heir.lease("a")
        except LeaseHeldError:
            await asyncio.sleep(0.02)
    assert clock() - began >= TTL_S + TAKEOVER_S - 0.15
    assert taken.token > lease.token
    await heir.release("a", taken)
    await heir.close()


async def test_a_lease_renews_itself(redis_url: str) -> None:
    """As long as it is held."""
    store = make_store(redis_url)
    await store.accept(proposal("a", 1, "t1"))
    lease = await store.lease("a")
    await asyncio.sleep(3 * (TTL_S + TAKEOVER_S))
    assert lease.remaining() > 0
    await store.save(await recorded(store), lease)
    await store.release("a", lease)
    await store.close()


async def test_a_waiting_caller_learns_of_a_change_in_another_process(redis_url: str) -> None:
    """When a lease is released, without polling."""
    one, other = make_store(redis_url), make_store(redis_url)
    await one.accept(proposal("a", 1, "t1"))
    lease, record = await one.lease("a"), await recorded(one)
    waiting = asyncio.create_task(other.wait_for_change("a", record.state, 20.0))
    await asyncio.wait({waiting}, timeout=0.3)
    assert not waiting.done()
    await one.release("a", lease)
    await asyncio.wait_for(waiting, 5.0)
    await one.close()
    await other.close()


async def test_each_change_of_phase_is_announced_once(redis_url: str) -> None:
    """In a stream that a web app can follow, with what it needs to know."""
    store = make_store(redis_url)
    await store.accept(proposal("a", 1, "t1"))
    lease, record = await store.lease("a"), await recorded(store)
    for phase in (Phase.RUNNING, Phase.RUNNING, Phase.STOPPED):
        await store.save(replace(record, state=PodState(phase=phase)), lease)
    await store.release("a", lease)
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        events: Any = await redis.xrange("pinacle:events")
    assert [(e["pod_id"], e["previous"], e["phase"]) for _, e in events] == [
        ("a", "", "running"),
        ("a", "running", "stopped"),
    ]
    await store.close()


async def test_pulls_have_a_stream_of_limited_length_and_are_forgotten_with_their_worker(
    redis_url: str,
) -> None:
    """What another version wrote is read as far as it is known, or counts as nothing."""
    store = make_store(redis_url)
    await store.accept(proposal("a", 1, "t1"))
    far = Progress(image="i", done_bytes=1, total_bytes=9, done_layers=0, total_layers=3)
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        for is_news in (True, False):
            await store.tell_progress(await recorded(store), far, is_news=is_news)
        entries: Any = await redis.xrange("pinacle:progress")
        assert [entry for _, entry in entries] == [
            {
                "pod_id": "a",
                "host": "here",
                "generation": "1",
                "image": "i",
                "done_bytes": "1",
                "total_bytes": "9",
                "done_layers": "0",
                "total_layers": "3",
            }
        ]
        assert not await redis.xrange("pinacle:events")
        assert 0 < await redis.ttl("pinacle:pull:a") <= 15
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(1300):
                pipe.xadd("pinacle:progress", {"pod_id": str(number)})
            await pipe.execute()
        await store.tell_progress(await recorded(store), far, is_news=True)
        assert 1000 <= await redis.xlen("pinacle:progress") <= 1100
        for told, expected in ((asdict(far) | {"newer": 1}, far), ({"image": "i"}, None), ([], None)):
            await redis.set("pinacle:pull:a", json.dumps(told))
            assert await store.progress("a") == expected
    await store.close()


async def test_a_follower_that_is_too_slow_can_see_it(redis_url: str) -> None:
    """Ten thousand changes are kept; if an id is still there, none after it is gone."""
    store = make_store(redis_url)
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(10_300):
                pipe.xadd("pinacle:events", {"pod_id": str(number)})
            ids = await pipe.execute()
        await store.accept(proposal("a", 1, "t1"))
        lease, record = await store.lease("a"), await recorded(store)
        await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
        assert 10_000 <= await redis.xlen("pinacle:events") <= 10_100
        assert not await redis.xrange("pinacle:events", ids[0], ids[0])
        assert await redis.xrange("pinacle:events", ids[-1], ids[-1])
    await store.release("a", lease)
    await store.close()


async def test_a_new_pod_may_live_on_another_host_than_the_deleted_one_of_its_name(store: Store) -> None:
    """The former host has no record of it any more, and its ports are free again."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    deleted = {"kind": IntentKind.DELETED, "purge_generation": 2, "ports": (port(8080),)}
    await store.accept(proposal("a", 2, "t2", **deleted))
    assert len(await store.reserved_ports("here")) == 1
    await store.accept(replace(proposal("a", 3, "t3", ports=(port(8081),)), host="there"))
    assert (await recorded(store)).host == "there"
    assert await store.load_host("here") == {}
    assert (await store.load_host("there")).keys() == {"a"}
    assert not await store.reserved_ports("here")
    assert [taken.host for taken, _ in await store.reserved_ports("there")] == [8081]


async def test_the_records_of_a_host_are_counted_tombstones_among_them(store: Store) -> None:
    assert await store.count_host("here") == 0
    await store.accept(proposal("a", 1, "t1"))
    await store.accept(proposal("b", 1, "t2"))
    assert (await store.count_host("here"), await store.count_host("there")) == (2, 0)


async def test_a_renamed_host_gives_its_pods_ports_and_storage_to_its_new_name(store: Store) -> None:
    """Only while no worker runs under the old name, and only if both have the same storage."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    await store.set_storage("here", "one")
    await store.report_host("here")
    await store.beat_heart("here")
    assert await store.rename_host("here", "new", "one") is None
    await store.stop_heart("here")
    assert await store.rename_host("here", "new", "two") is None
    await store.set_storage("other", "two")
    assert await store.rename_host("here", "other", "one") is None
    assert (await store.load_host("here")).keys() == {"a"}
    before = await recorded(store)
    assert await store.rename_host("here", "new", "one") == 1
    assert await recorded(store) == replace(before, host="new")
    assert await store.load_host("here") == {}
    assert (await store.load_host("new")).keys() == {"a"}
    assert [owner for _, owner in await store.reserved_ports("new")] == ["a"]
    assert not await store.reserved_ports("here")
    assert await store.storages() == {"new": "one", "other": "two"}
    assert await store.reported_hosts() == {"new"}
    lease = await store.lease("a")
    await store.save(replace(await recorded(store), state=PodState(phase=Phase.RUNNING)), lease)
    await store.release("a", lease)
    assert await store.rename_host("here", "new", "one") is None


async def test_a_store_has_one_id_for_as_long_as_it_lasts(store: Store) -> None:
    await store.set_storage("here", "one")
    noted = await store.noted()
    assert noted.store
    assert (await store.noted(), noted.storages) == (noted, {"here": "one"})


async def test_the_pool_of_a_host_is_noted(store: Store) -> None:
    assert await store.pool("here") is None
    await store.set_pool("here", "one")
    await store.set_pool("there", "two")
    await store.set_pool("here", "three")
    assert (await store.pool("here"), await store.pool("there")) == ("three", "two")


async def test_what_pods_have_on_the_disk_is_noted_for_their_host(store: Store) -> None:
    """Each note of a host takes the place of its last one."""
    first, second = DiskUse(used=1, measured_at=2.5, limit=3), DiskUse(used=4, measured_at=5.0)
    await store.note_uses("here", {"a": first, "gone": first}, 60)
    await store.note_uses("here", {"a": second, "b": first}, 60)
    await store.note_uses("there", {"c": second}, 60)
    assert await store.use("here", "a") == second
    assert await store.use("here", "gone") is None
    assert await store.use("there", "a") is None
    assert await store.uses(["here", "there", "nowhere"]) == {"a": second, "b": first, "c": second}
    await store.note_uses("here", {}, 60)
    assert await store.uses(["here", "there"]) == {"c": second}
    assert await store.uses([]) == {}


async def test_every_record_has_the_storage_of_its_host(store: Store) -> None:
    """As it is noted now, not as it was when the pod was made."""
    await store.accept(proposal("a", 1, "t1"))
    assert await store.storage("here") is None
    await store.set_storage("here", "one")
    await store.set_storage("there", "two")
    assert await store.storage("here") == "one"
    assert await store.storages() == {"here": "one", "there": "two"}
    for found in (await store.load_all(), await store.load_host("here")):
        assert found["a"].storage == "one"
    record = await store.load("a")
    assert record is not None
    assert record.storage == "one"


ONLY_SPEC: Final = '{"kind": "running", "generation": 1, "spec": {"image": 1, "env": {"KEY": "value"}}}'
SPOILED: Final = [
    ("intent", "{"),
    ("intent", "[]"),
    ("intent", ONLY_SPEC),
    ("state", "{"),
    ("state", '{"phase": "unheard of"}'),
    ("state", '{"layout": [{"name": 1}]}'),
]
"""A field of a record, and what is written there instead."""


async def spoil(store: Store, pod_id: str, field: str, text: str) -> None:
    """Write something else into a field of a pod's record."""
    if isinstance(store, FakeStore):
        store.spoiled[pod_id] = {field: text}
    else:
        assert isinstance(store, RedisStore)
        await store._redis.hset(f"pinacle:pod:{pod_id}", field, text)


@pytest.mark.parametrize(("field", "text"), SPOILED)
async def test_one_record_that_cannot_be_read_stops_no_other(store: Store, field: str, text: str) -> None:
    """It says which field is wrong, never with a value of `env`; what stands in for it is never written."""
    for pod_id in ("a", "b"):
        await store.accept(proposal(pod_id, 1, f"create {pod_id}"))
    lease, record = await store.lease("a"), await recorded(store, "a")
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    await spoil(store, "a", field, text)
    for records in (await store.load_all(), await store.load_host("here")):
        assert records.keys() == {"a", "b"}
        assert records["b"].unreadable is None
        assert records["a"].unreadable is not None
    spoiled = await recorded(store, "a")
    assert spoiled.unreadable is not None
    assert f"cannot be read: {field}" in spoiled.unreadable.reason
    assert "value" not in spoiled.unreadable.reason.replace("value_", "")
    assert (spoiled.state.phase, spoiled.intent.generation, spoiled.exists) == (Phase.FAILED, 1, True)
    assert spoiled.unreadable.only_spec == (text == ONLY_SPEC)
    with pytest.raises(RecordUnreadableError):
        await store.save(spoiled, lease)
    assert (await recorded(store, "a")).unreadable is not None, "nothing was written"
    await store.release("a", lease)


@pytest.mark.parametrize(("field", "text"), SPOILED)
async def test_a_pod_whose_record_cannot_be_read_can_be_deleted(store: Store, field: str, text: str) -> None:
    """A deletion needs neither spec nor state."""
    await store.accept(proposal("a", 1, "create"))
    lease, record = await store.lease("a"), await recorded(store, "a")
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    await spoil(store, "a", field, text)
    deleted = {"kind": IntentKind.DELETED, "spec": None, "purge_generation": 2}
    await store.accept(proposal("a", 2, "delete", **deleted))
    record = await recorded(store, "a")
    assert record.unreadable is None
    assert record.purging
    await store.save(replace(record, state=PodState(phase=Phase.DELETED, purged_generation=2)), lease)
    assert (await recorded(store, "a")).state.phase is Phase.DELETED
    await store.release("a", lease)


async def test_what_is_no_record_at_all_stops_no_other(redis_url: str) -> None:
    """Nor does text that is not UTF-8."""
    store = make_store(redis_url)
    for pod_id in ("a", "b", "c"):
        await store.accept(proposal(pod_id, 1, f"create {pod_id}"))
    async with Redis.from_url(redis_url) as redis:
        await redis.set("pinacle:pod:a", "not a hash")
        await redis.hset("pinacle:pod:b", "state", b'{"reason": "\xff"}')
    for records in (await store.load_all(), await store.load_host("here")):
        unreadable = {pod_id for pod_id, record in records.items() if record.unreadable is not None}
        assert (set(records), unreadable) == ({"a", "b", "c"}, {"a", "b"})
    assert (await recorded(store, "a")).state.phase is Phase.FAILED
    await store.close()
