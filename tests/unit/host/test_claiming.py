"""Two stores and one Engine: which one asks, answers or takes over, and what is said."""

from dataclasses import replace
from typing import Any, Final

import pytest

from tests.support.fake_engine import FakeEngine, FakeVolume
from tests.support.fake_store import FakeStore
from tests.support.situations import LABELS, OWN, stopped_pod
from worker.errors import InstallationAskedError, InstallationTakenError
from worker.host.claiming import Claiming
from worker.host.rebuild import Rebuild
from worker.host.storage_guard import StorageGuard
from worker.interfaces import ContenderEvent
from worker.planner.host.claim import LONGEST_ANSWER_S
from worker.pods import naming

KEEPER: Final = naming.storage_name(OWN.name)
INTERVAL_S: Final = 30.0


class Side:
    """One worker with a store of its own."""

    def __init__(self, engine: FakeEngine, store_id: str, store: FakeStore | None = None) -> None:
        self.engine = engine
        self.store = store or FakeStore()
        self.store.id = store_id
        self.now = 0.0
        owned: dict[str, Any] = {"host": "here", "engine": engine, "store": self.store, "installation": OWN}
        self.claiming = Claiming(**owned, interval_s=INTERVAL_S, clock=lambda: self.now)
        self.guard = StorageGuard(**owned, claiming=self.claiming)
        self.rebuild = Rebuild(**owned, claiming=self.claiming)

    def restarted(self) -> "Side":
        """Return another process of the same store."""
        return Side(self.engine, self.store.id, self.store)

    async def work(self) -> None:
        """Do what a pass does before it plans."""
        await self.rebuild.run()
        records = await self.store.load_host("here")
        await self.guard.check(records.values(), await self.engine.observe_all())


def contender(store_id: str) -> str:
    return naming.contender_name(OWN.name, store_id)


def holder(engine: FakeEngine) -> str | None:
    found = engine.containers.get(KEEPER)
    return None if found is None else found.observed.labels.get(naming.LABEL_STORE)


@pytest.fixture
def engine() -> FakeEngine:
    """An Engine with the volumes of a stopped pod."""
    engine = FakeEngine()
    for volume in stopped_pod().state.layout:
        labels = {**LABELS, naming.LABEL_VOLUME: volume.name}
        labels[naming.LABEL_INCARNATION] = volume.incarnation or ""
        engine.volumes[f"pinacle-vol-a-{volume.name}"] = FakeVolume(labels=labels)
    return engine


@pytest.fixture
async def owner(engine: FakeEngine) -> Side:
    """A worker that holds the installation, with the record of its pod."""
    side = Side(engine, "one")
    side.store.records = {"a": replace(stopped_pod(), host="here")}
    side.store.reported.add("here")
    await side.work()
    assert holder(engine) == "one"
    return side


async def test_a_living_owner_turns_a_second_one_away_and_both_say_so(
    engine: FakeEngine, owner: Side
) -> None:
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError, match="may object"):
        await second.work()
    assert contender("two") in engine.containers
    await owner.work()
    assert contender("two") not in engine.containers
    assert "PINACLE_INSTALLATION" in owner.store.contenders["here"]
    assert owner.guard.is_accepted
    second.now = 1000.0
    for _ in range(2):
        with pytest.raises(InstallationTakenError, match="PINACLE_INSTALLATION"):
            await second.work()
    with pytest.raises(InstallationTakenError):
        second.guard.refuse_taken()
    assert not second.guard.is_accepted
    assert (second.store.records, second.store.reported, holder(engine)) == ({}, set(), "one")
    assert contender("two") not in engine.containers, "it is asked once"


async def test_an_owner_answers_as_soon_as_it_hears_of_it(engine: FakeEngine, owner: Side) -> None:
    """And a process that may not be the owner, because it asks itself or was refused, does not answer."""
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError):
        await second.work()
    asks = ContenderEvent(store="two", container_id=engine.containers[contender("two")].observed.id)
    await Side(engine, "three").claiming.hear(asks)
    await second.claiming.hear(asks)
    assert contender("two") in engine.containers
    await owner.claiming.hear(asks)
    assert contender("two") not in engine.containers
    assert "here" in owner.store.contenders
    owner.store.id = "two"
    again = await engine.create_mark(contender("two"), {})
    await owner.claiming.hear(ContenderEvent(store="two", container_id=again))
    assert contender("two") in engine.containers, "a process of this very store, which was lost since"
    await engine.remove_container(again)
    owner.store.id = "one"
    owner.claiming.problem = "it is another's since"
    again = await engine.create_mark(contender("two"), {})
    await owner.claiming.hear(ContenderEvent(store="two", container_id=again))
    assert contender("two") in engine.containers


async def test_where_nobody_objects_the_pods_are_taken_over(engine: FakeEngine, owner: Side) -> None:
    """Redis was lost, and with it the records."""
    second = Side(engine, "two")
    for second.now in (0.0, LONGEST_ANSWER_S - 1):
        with pytest.raises(InstallationAskedError):
            await second.work()
        assert holder(engine) == "one"
    second.now = LONGEST_ANSWER_S
    await second.work()
    assert (holder(engine), second.store.reported) == ("two", {"here"})
    assert contender("two") not in engine.containers
    assert second.store.contenders == {}, "what it asked with itself is nobody else's"
    assert second.guard.is_accepted
    owner.store.identities.clear()
    # The silent one is back, and leaves everything as it is.
    await owner.work()
    assert not owner.guard.is_accepted
    assert owner.store.identities == {}
    with pytest.raises(InstallationTakenError, match=r"hosts.accept_storage\('here'\)"):
        owner.guard.refuse_taken()
    await second.work()
    assert "store one" in second.store.contenders["here"]
    assert holder(engine) == "two"


async def test_a_store_that_is_lost_under_its_worker_is_rebuilt_at_once(
    engine: FakeEngine, owner: Side
) -> None:
    owner.store.id = "two"
    owner.store.reported.clear()
    owner.store.records.clear()
    await owner.work()
    assert (holder(engine), owner.store.reported) == ("two", {"here"})
    again = owner.restarted()
    await again.work()
    assert again.guard.is_accepted, "and that is known to the next process"


async def test_the_keeper_has_the_new_id_before_the_host_has_reported(
    engine: FakeEngine, owner: Side
) -> None:
    """Otherwise a process that is killed between the two would find records and another store's keeper."""
    owner.store.id = "two"
    owner.store.reported.clear()
    seen: list[str | None] = []

    def look(operation: str) -> None:
        if operation == "report":
            seen.append(holder(engine))

    owner.store.before = look
    await owner.work()
    assert seen == ["two"]


async def test_an_older_worker_s_keeper_is_replaced_in_silence(engine: FakeEngine, owner: Side) -> None:
    """If the worker is killed between removal and creation, the next pass makes it."""
    await engine.remove_container(engine.containers[KEEPER].observed.id)
    await engine.keep_storage(OWN.name, "s", {naming.LABEL_INSTALLATION: OWN.name})

    def die(operation: str) -> None:
        if operation == "storage_keep":
            raise RuntimeError("killed")

    engine.before = die
    with pytest.raises(RuntimeError):
        await owner.restarted().work()
    assert KEEPER not in engine.containers
    engine.before = lambda _operation: None
    await owner.restarted().work()
    assert (holder(engine), owner.store.contenders) == ("one", {})


async def test_a_prune_of_what_was_asked_with_and_of_the_keeper_is_no_answer(
    engine: FakeEngine, owner: Side
) -> None:
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError):
        await second.work()
    for name in (KEEPER, contender("two")):
        del engine.containers[name]
    second.now = 1000.0
    with pytest.raises(InstallationAskedError):
        await second.work()
    await owner.work()
    assert holder(engine) == "one"
    with pytest.raises(InstallationTakenError):
        await second.work()


async def test_of_two_that_ask_one_takes_over_and_the_other_is_turned_away(
    engine: FakeEngine, owner: Side
) -> None:
    second, third = Side(engine, "two"), Side(engine, "three")
    for side in (second, third):
        with pytest.raises(InstallationAskedError):
            await side.work()
        side.now = 1000.0
    await second.work()
    with pytest.raises(InstallationTakenError):
        await third.work()
    assert holder(engine) == "two"


async def test_a_process_that_was_killed_while_it_asked_is_followed_by_one_that_asks_again(
    engine: FakeEngine, owner: Side
) -> None:
    """Two processes of one store share one question."""
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError):
        await second.work()
    again = second.restarted()
    with pytest.raises(InstallationAskedError):
        await again.work()
    again.now = second.now = 1000.0
    await again.work()
    await second.work()
    assert (holder(engine), second.claiming.problem) == ("two", None)


async def turned_away(engine: FakeEngine, owner: Side) -> Side:
    """Return a worker that asked and was refused."""
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError):
        await second.work()
    await owner.work()
    with pytest.raises(InstallationTakenError):
        await second.work()
    return second


async def test_a_person_may_take_over(engine: FakeEngine, owner: Side) -> None:
    """For a store without records, or with some; the former owner then leaves everything alone."""
    second = await turned_away(engine, owner)
    await second.guard.accept()
    await second.work()
    assert (holder(engine), second.guard.is_accepted) == ("two", True)
    await owner.work()
    assert not owner.guard.is_accepted
    await owner.guard.accept()
    await owner.work()
    assert (holder(engine), owner.guard.is_accepted) == ("one", True)


async def test_a_store_with_records_on_another_one_s_disk_touches_no_keeper(engine: FakeEngine) -> None:
    """The disk of an older installation is mounted: it is not this host's storage."""
    await engine.keep_storage(OWN.name, "s-2", {naming.LABEL_INSTALLATION: OWN.name})
    side = Side(engine, "one")
    side.store.records = {"a": replace(stopped_pod(), host="here")}
    side.store.reported.add("here")
    side.store.identities["here"] = "s-1"
    await side.work()
    assert (side.guard.is_accepted, holder(engine)) == (False, None)


async def test_what_is_its_own_already_is_accepted_without_any_change(
    engine: FakeEngine, owner: Side
) -> None:
    before = engine.containers[KEEPER].observed.id
    await owner.guard.accept()
    assert engine.containers[KEEPER].observed.id == before


async def test_one_that_was_turned_away_asks_no_more_whatever_goes(engine: FakeEngine, owner: Side) -> None:
    """Otherwise it would take over if the owner is restarted just after a prune."""
    second = await turned_away(engine, owner)
    del engine.containers[KEEPER]
    with pytest.raises(InstallationTakenError):
        await second.work()


async def test_a_keeper_that_is_another_one_since_is_an_answer_too(engine: FakeEngine, owner: Side) -> None:
    """The store that made it is alive, even if it has not seen the question."""
    second = Side(engine, "two")
    with pytest.raises(InstallationAskedError):
        await second.work()
    await engine.remove_container(engine.containers[KEEPER].observed.id)
    labels = {naming.LABEL_INSTALLATION: OWN.name, naming.LABEL_STORE: "three"}
    await engine.keep_storage(OWN.name, "s", labels)
    second.now = 1000.0
    with pytest.raises(InstallationTakenError, match="store three"):
        await second.work()
    assert holder(engine) == "three"
