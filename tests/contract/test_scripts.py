"""What the scripts guarantee, as seen in Redis itself: fences, reservations, and how long things are kept."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.contract.test_store_contract import TAKEOVER_S, TTL_S, make_store, port, proposal, recorded
from worker.errors import LeaseHeldError, LeaseLostError, PortTakenError
from worker.pods.model import IntentKind, Phase, PodState
from worker.pods.spec import PodSpec, PortSpec
from worker.reconcile.host_ports import chosen_ports
from worker.store import scripts
from worker.store.redis_store import RedisStore

WEEK_S = 7 * 24 * 3600
DELETED: dict[str, Any] = {"kind": IntentKind.DELETED, "purge_generation": 2}
GONE = PodState(purged_generation=2, phase=Phase.DELETED)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisStore]:
    store = make_store(redis_url)
    yield store
    await store.close()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield redis


async def test_a_holder_of_an_older_token_than_the_record_writes_nothing(
    store: RedisStore, redis: Any
) -> None:
    """Although it has the lease: the token shows which holder came later."""
    await store.accept(proposal("a", 1, "t1"))
    lease, record = await store.lease("a"), await recorded(store)
    await redis.hset("pinacle:pod:a", "fence", lease.token + 1)
    with pytest.raises(LeaseLostError):
        await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    assert await redis.hget("pinacle:pod:a", "state") is None
    await redis.hset("pinacle:pod:a", "fence", lease.token)
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    await store.release("a", lease)


async def test_a_holder_of_an_older_token_than_the_record_moves_no_port(
    store: RedisStore, redis: Any
) -> None:
    """Just as it saves nothing."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    lease, record = await store.lease("a"), await recorded(store)
    await redis.hset("pinacle:pod:a", "fence", lease.token + 1)
    with pytest.raises(LeaseLostError):
        await store.move_ports(record, (port(9000),), lease)
    assert [taken.host for taken, _ in await store.reserved_ports("here")] == [8080]
    await redis.hset("pinacle:pod:a", "fence", lease.token)
    await store.move_ports(record, (port(9000),), lease)
    assert [taken.host for taken, _ in await store.reserved_ports("here")] == [9000]
    await store.release("a", lease)


async def test_a_save_leaves_its_token_as_the_fence(store: RedisStore, redis: Any) -> None:
    await store.accept(proposal("a", 1, "t1"))
    lease = await store.lease("a")
    await store.save(await recorded(store), lease)
    assert await redis.hget("pinacle:pod:a", "fence") == str(lease.token)
    await store.release("a", lease)


async def test_a_record_that_is_gone_is_not_made_by_a_save(store: RedisStore, redis: Any) -> None:
    """A tombstone that expired meanwhile, or a store that was emptied."""
    await store.accept(proposal("a", 1, "t1"))
    lease, record = await store.lease("a"), await recorded(store)
    await redis.delete("pinacle:pod:a")
    with pytest.raises(LeaseLostError):
        await store.save(record, lease)
    assert not await redis.exists("pinacle:pod:a")
    await store.release("a", lease)


async def test_a_save_for_another_host_gives_back_no_port_of_another_pod(store: RedisStore) -> None:
    """Nor of this one, unless nothing is left of it."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    await store.accept(proposal("b", 1, "t2", ports=(port(8081),)))
    lease, record = await store.lease("a"), await recorded(store)
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    assert {owner for _, owner in await store.reserved_ports("here")} == {"a", "b"}
    await store.accept(proposal("a", 2, "t3", ports=(port(8080),), **DELETED))
    await store.save(replace(await recorded(store), state=GONE), lease)
    assert {owner for _, owner in await store.reserved_ports("here")} == {"b"}
    await store.release("a", lease)


async def test_a_pod_asked_for_again_keeps_its_ports_and_its_record(store: RedisStore, redis: Any) -> None:
    """If the end of its deletion is noted late."""
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    await store.accept(proposal("a", 2, "t2", ports=(port(8080),), **DELETED))
    lease, tombstone = await store.lease("a"), await recorded(store)
    await store.accept(proposal("a", 3, "t3", purge_generation=2, ports=(port(8080),)))
    await store.save(replace(tombstone, state=GONE), lease)
    assert {owner for _, owner in await store.reserved_ports("here")} == {"a"}
    assert await redis.ttl("pinacle:pod:a") == -1
    await store.release("a", lease)


async def test_a_tombstone_is_kept_for_days_and_a_new_pod_for_ever(store: RedisStore, redis: Any) -> None:
    """Its task ids outlive it: a late copy of the creation brings nothing back."""
    await store.accept(proposal("a", 1, "t1"))
    assert await redis.ttl("pinacle:pod:a") == -1
    await store.accept(proposal("a", 2, "t2", **DELETED))
    lease = await store.lease("a")
    await store.save(replace(await recorded(store), state=GONE), lease)
    assert 0 < await redis.ttl("pinacle:pod:a") < await redis.ttl("pinacle:task:t1") <= WEEK_S
    await store.accept(proposal("a", 3, "t3", purge_generation=2))
    assert await redis.ttl("pinacle:pod:a") == -1
    await store.release("a", lease)


async def test_a_pod_gives_back_the_ports_that_it_no_longer_asks_for(store: RedisStore) -> None:
    """And only its own."""
    await store.accept(proposal("b", 1, "t0", ports=(port(8082),)))
    await store.accept(proposal("a", 1, "t1", ports=(port(8080), port(8081))))
    await store.accept(proposal("a", 2, "t2", ports=(port(8081),)))
    reserved = {taken.host: owner for taken, owner in await store.reserved_ports("here")}
    assert reserved == {8081: "a", 8082: "b"}
    await store.accept(proposal("c", 1, "t3", ports=(port(8080),)))


async def test_the_same_port_of_another_protocol_or_address_is_free(store: RedisStore) -> None:
    await store.accept(proposal("a", 1, "t1", ports=(port(8080, "127.0.0.1"),)))
    await store.accept(proposal("b", 1, "t2", ports=(port(8080, "127.0.0.2"),)))
    await store.accept(proposal("c", 1, "t3", ports=(replace(port(8080), protocol="udp"),)))
    with pytest.raises(PortTakenError):
        await store.accept(proposal("d", 1, "t4", ports=(port(8080, "::"),)))


async def test_a_waiting_caller_learns_of_a_save_before_the_lease_is_given_back(
    store: RedisStore, redis_url: str
) -> None:
    """At once, as another process has no other way to know."""
    other = make_store(redis_url)
    await store.accept(proposal("a", 1, "t1"))
    lease, record = await store.lease("a"), await recorded(store)
    waiting = asyncio.create_task(other.wait_for_change("a", record.state, 20.0))
    await asyncio.wait({waiting}, timeout=0.3)
    assert not waiting.done()
    await store.save(replace(record, state=PodState(phase=Phase.RUNNING)), lease)
    await asyncio.wait_for(waiting, 5.0)
    await store.release("a", lease)
    await other.close()


async def test_a_refused_proposal_leaves_no_trace(store: RedisStore, redis: Any) -> None:
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    before = sorted(await redis.keys("*"))
    with pytest.raises(PortTakenError):
        await store.accept(proposal("b", 1, "t2", ports=(port(8080), port(8081))))
    assert sorted(await redis.keys("*")) == before
    assert len(await store.reserved_ports("here")) == 1


async def test_an_accepted_pod_is_listed_for_all_and_for_its_host(store: RedisStore, redis: Any) -> None:
    await store.accept(proposal("a", 1, "t1"))
    assert await redis.smembers("pinacle:pods") == {"a"}
    assert await redis.smembers("pinacle:pods:here") == {"a"}
    assert await redis.hget("pinacle:pod:a", "generation") == "1"


async def test_a_lease_ends_by_itself_and_not_early(store: RedisStore, redis: Any) -> None:
    """After its time and the time that its last step may still take."""
    lease = await store.lease("a")
    assert 0 < await redis.pttl("pinacle:lease:a") <= (TTL_S + TAKEOVER_S) * 1000
    with pytest.raises(LeaseHeldError):
        await store.lease("a")
    await store.release("a", lease)
    assert not await redis.exists("pinacle:lease:a")


async def test_the_same_owner_gets_the_lease_that_it_has(redis: Any) -> None:
    """Its first answer was lost on the way: it must not wait for itself."""
    take = redis.register_script(scripts.TAKE_LEASE)
    first = await take(keys=["lease", "fence"], args=["me", 5000])
    await redis.pexpire("lease", 100)
    assert await take(keys=["lease", "fence"], args=["me", 5000]) == first
    assert await redis.pttl("lease") > 1000
    assert await take(keys=["lease", "fence"], args=["you", 5000]) is None
    assert await redis.hgetall("lease") == {"owner": "me", "token": first}


@pytest.mark.parametrize(("left_ms", "shortened"), [(9000, False), (10_000, False), (60_000, True)])
async def test_a_lease_from_before_the_clock_was_set_back_ends_in_time(
    redis: Any, left_ms: int, shortened: bool
) -> None:
    """It would last longer than any lease should; one that is merely long is left as it is."""
    take = redis.register_script(scripts.TAKE_LEASE)
    await take(keys=["lease", "fence"], args=["dead", 5000])
    await redis.pexpire("lease", left_ms)
    assert await take(keys=["lease", "fence"], args=["heir", 5000]) is None
    assert (await redis.pttl("lease") <= 5000) == shortened


async def test_only_the_owner_renews_and_releases(redis: Any) -> None:
    take, renew, release = map(
        redis.register_script, (scripts.TAKE_LEASE, scripts.RENEW_LEASE, scripts.RELEASE_LEASE)
    )
    await take(keys=["lease", "fence"], args=["me", 5000])
    await redis.pexpire("lease", 3000)
    assert await renew(keys=["lease"], args=["you", 60_000]) == 0
    assert await redis.pttl("lease") <= 3000
    assert await renew(keys=["lease"], args=["me", 60_000]) == 1
    assert await redis.pttl("lease") > 3000
    assert await release(keys=["lease"], args=["you", "channel"]) == 0
    assert await redis.exists("lease")
    assert await release(keys=["lease"], args=["me", "channel"]) == 1
    assert not await redis.exists("lease")
    assert await renew(keys=["lease"], args=["me", 60_000]) == 0


async def test_attempts_are_forgotten_when_their_task_is(store: RedisStore, redis: Any) -> None:
    await store.count_attempt("t1")
    assert 0 < await redis.ttl("pinacle:attempts:t1") <= WEEK_S


@pytest.mark.parametrize(("age_s", "is_live"), [(0, True), (60, False), (-60, False)])
async def test_a_heartbeat_counts_while_it_is_fresh(
    store: RedisStore, redis: Any, age_s: int, is_live: bool
) -> None:
    """A heartbeat from the future is from before the clock was set back."""
    seconds, _ = await redis.time()
    await redis.zadd("pinacle:heartbeats", {"here": seconds - age_s})
    assert (await store.live_hosts() == {"here"}) is is_live


async def test_no_heartbeat_is_younger_than_now(store: RedisStore) -> None:
    """Whenever in a second it came."""
    for _ in range(50):
        await store.beat_heart("here")
        assert 0 <= (await store.overview.heartbeat_ages())["here"] < 5


@pytest.mark.parametrize("age_s", [60, -60])
async def test_a_host_that_died_silently_can_be_renamed(store: RedisStore, redis: Any, age_s: int) -> None:
    """Its last heartbeat is old, or from before the clock was set back; it is removed with the name."""
    await store.accept(proposal("a", 1, "t1"))
    await store.set_storage("here", "one")
    seconds, _ = await redis.time()
    await redis.zadd("pinacle:heartbeats", {"here": seconds - age_s})
    assert await store.rename_host("here", "new", "one") == 1
    assert await redis.zscore("pinacle:heartbeats", "here") is None


async def test_a_host_takes_a_name_that_is_noted_for_its_storage_already(store: RedisStore) -> None:
    """Its worker began under the new name before anybody renamed it."""
    await store.accept(proposal("a", 1, "t1"))
    await store.set_storage("here", "one")
    await store.set_storage("new", "one")
    assert await store.rename_host("here", "new", "one") == 1
    assert (await store.load_host("new")).keys() == {"a"}


async def work(redis: Any) -> dict[str, int]:
    """Return how often Redis ran each command since the last call."""
    found = await redis.info("commandstats")
    await redis.config_resetstat()
    ours = ("hget", "hmget", "hset", "hdel", "hgetall", "hscan", "hkeys", "evalsha")
    return {name: found[f"cmdstat_{name}"]["calls"] for name in ours if f"cmdstat_{name}" in found}


async def test_a_pods_ports_cost_the_same_however_many_others_have(store: RedisStore, redis: Any) -> None:
    """Chosen, reserved, exchanged and given back beside 10, 1,000 and 10,000 reserved ones."""
    spec, free = PodSpec(image="i", ports=(PortSpec(container=80),)), range(20000, 40000)
    seen: list[tuple[dict[str, int], ...]] = []
    for number, others in enumerate((10, 1000, 10_000)):
        pod = f"a{number}"
        await redis.hset(
            "pinacle:ports:here", mapping={f"tcp/{20000 + 2 * each}/127.0.0.1": "x" for each in range(others)}
        )
        await store.accept(proposal("warm", number + 1, f"warm-{others}"))
        await work(redis)
        ports = await chosen_ports(store, "here", pod, spec, before=(), free=free)
        chosen = await work(redis)
        await store.accept(proposal(pod, 1, f"{pod}-1", ports=ports))
        reserved = await work(redis)
        await store.accept(proposal(pod, 2, f"{pod}-2", ports=(port(41000 + number),)))
        exchanged = await work(redis)
        await store.accept(proposal(pod, 3, f"{pod}-3"))
        seen.append((chosen, reserved, exchanged, await work(redis)))
        assert await redis.hlen("pinacle:ports:here") == others
    assert seen[0] == seen[1] == seen[2]
    assert all("hgetall" not in each for each in seen[0])


async def test_the_last_free_port_of_a_range_is_found(store: RedisStore, redis: Any) -> None:
    """And once it is taken, the error says that there is none."""
    spec, free = PodSpec(image="i", ports=(PortSpec(container=80),)), range(20000, 30000)
    taken = {f"tcp/{each}/127.0.0.1": "x" for each in free if each != 25000}
    await redis.hset("pinacle:ports:here", mapping=taken)
    ports = await chosen_ports(store, "here", "a", spec, before=(), free=free)
    assert [each.host for each in ports] == [25000]
    await redis.hset("pinacle:ports:here", "tcp/25000/0.0.0.0", "x")
    with pytest.raises(PortTakenError, match="no free port is left in 20000-29999"):
        await chosen_ports(store, "here", "a", spec, before=(), free=free)


async def test_a_pod_whose_intent_cannot_be_read_gives_back_its_ports(store: RedisStore, redis: Any) -> None:
    """Then they are looked for among all ports."""
    await store.accept(proposal("b", 1, "t0", ports=(port(8082),)))
    await store.accept(proposal("a", 1, "t1", ports=(port(8080),)))
    await redis.hset("pinacle:pod:a", "intent", "spoiled")
    await store.accept(proposal("a", 2, "t2", ports=(port(8081),)))
    reserved = {taken.host: owner for taken, owner in await store.reserved_ports("here")}
    assert reserved == {8081: "a", 8082: "b"}
