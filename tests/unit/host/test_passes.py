"""Passes that are asked for while one is under way: they share one, and end at once with the process."""

import asyncio
from typing import Any, cast

import pytest

from tests.support.fake_engine import FakeEngine
from tests.support.fake_store import FakeStore
from tests.support.situations import IMAGE, OWN
from worker.errors import ErrorKind, RetryableError
from worker.host.passes import Passes
from worker.host.pool_guard import PoolGuard
from worker.interfaces import Proposal
from worker.pods.model import Intent, IntentKind, Phase
from worker.pods.observation import Snapshot
from worker.pods.spec import PodSpec, Restart
from worker.reconcile.dispatcher import Dispatcher
from worker.reconcile.reconciler import Reconciler


class Slow(FakeEngine):
    """An Engine whose lists take as long as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.may_end = asyncio.Event()

    async def observe_all(self) -> Snapshot:
        self.looks += 1
        await self.may_end.wait()
        return await super().observe_all()


class Nothing:
    """Stands in for parts that have nothing to do if there is no pod."""

    is_accepted = False
    is_taken = False

    async def run(self) -> None:
        return

    async def load_host(self, _host: str) -> dict[str, Any]:
        return {}

    async def check(self, _records: object, snapshot: Snapshot, *_: object) -> Snapshot:
        return snapshot


def passes(engine: FakeEngine, **parts: Any) -> Passes:
    nothing = cast("Any", Nothing())
    names = (
        "store",
        "dispatcher",
        "guard",
        "rebuild",
        "leftovers",
        "base_cleanup",
        "template_cleanup",
        "installation",
    )
    pool = PoolGuard(host="here", store=FakeStore(), pool=None)
    given = {**dict.fromkeys(names, nothing), "pool_guard": pool, **parts}
    return Passes(host="here", engine=engine, clock=lambda: 0.0, **given)


async def asked(own: Passes, number: int) -> list[asyncio.Task[Any]]:
    tasks = [asyncio.create_task(own.run(wait_s=0.0)) for _ in range(number)]
    for _ in range(10):
        await asyncio.sleep(0)
    return tasks


async def test_whoever_asks_while_a_pass_is_under_way_shares_the_next_one() -> None:
    """Thirteen callers behind a slow pass share one more, not thirteen; it begins after they have asked."""
    engine = Slow()
    own = passes(engine)
    first = await asked(own, 1)
    others = await asked(own, 13)
    assert engine.looks == 1
    engine.may_end.set()
    await asyncio.gather(*first, *others)
    assert engine.looks == 2


async def test_whoever_waits_for_a_pass_learns_at_once_that_the_process_ends() -> None:
    """Callers that ask later learn it too; nothing more is begun."""
    engine = Slow()
    own = passes(engine)
    waiting = [*await asked(own, 1), *await asked(own, 3)]
    await own.let_go()
    for each in waiting:
        with pytest.raises(RetryableError, match="about to end"):
            await each
    with pytest.raises(RetryableError, match="about to end"):
        await own.run(wait_s=0.0)
    assert engine.looks == 1


async def test_a_caller_that_gives_up_ends_nobody_elses_pass() -> None:
    engine = Slow()
    own = passes(engine)
    one, other = await asked(own, 2)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    engine.may_end.set()
    assert (await other).pods == 0


@pytest.mark.parametrize("noted", [None, "update_refused"])
async def test_a_kind_that_an_older_worker_did_not_note_is_noted_once(noted: str | None) -> None:
    """It knows no kinds: there is none in its records, or one that belongs to an earlier reason."""
    engine, store = FakeEngine(), FakeStore()
    engine.images = {"image": IMAGE}
    reconciler = Reconciler(
        engine=engine, store=store, installation=OWN, clock=lambda: 0.0, step_deadline_s=5.0
    )
    dispatcher = Dispatcher(reconciler=reconciler, store=store, clock=lambda: 0.0, repairs_at_once=1)
    spec = PodSpec(image="image", restart=Restart.NEVER)
    intent = Intent(kind=IntentKind.RUNNING, generation=1, spec=spec, image=IMAGE)
    await store.accept(Proposal(pod_id="a", task_id="t", expected_generation=0, host="here", intent=intent))
    await reconciler.reconcile("a")
    engine.crash("a", 3)
    failed = (await reconciler.reconcile("a")).record
    assert (failed.state.phase, failed.state.kind) == (Phase.FAILED, ErrorKind.ENDED)
    store.records["a"] = failed.evolve(state=failed.state.evolve(kind=noted))
    own = passes(engine, store=store, dispatcher=dispatcher, installation=OWN)
    assert [(await own.run(wait_s=5)).repairs for _ in range(2)] == [1, 0]
    assert store.records["a"].state == failed.state
    await dispatcher.drain(1)
