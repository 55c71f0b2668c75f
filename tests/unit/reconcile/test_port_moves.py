"""When a chosen host port is given up for another one, and when it is not."""

from collections import Counter

from tests.properties.test_convergence import IMAGE, OWN, World
from worker.interfaces import Proposal
from worker.pods.model import Phase, PublishedPort
from worker.pods.requests import Create, Resolved, Restart, Stop, intent_for
from worker.pods.spec import PodSpec, PortSpec
from worker.reconcile.reconciler import Reconciler

FREE = range(20000, 20010)
ASKED = PodSpec(image="image", ports=(PortSpec(container=80),))


class Bench:
    """A world with one pod that has one host port."""

    def __init__(self, spec: PodSpec = ASKED) -> None:
        self.world = World(seed=1, cuts=Counter())
        self.world.reconciler = Reconciler(
            engine=self.world.engine,
            store=self.world.store,
            installation=OWN,
            clock=lambda: self.world.now,
            step_deadline_s=10.0,
            free_ports=FREE,
        )
        self.spec = spec

    async def create(self, host: int) -> None:
        port = PublishedPort(container=80, host=host, protocol="tcp", address="127.0.0.1")
        intent = intent_for(None, Create(spec=self.spec), Resolved(image=IMAGE, ports=(port,)))
        await self.world.store.accept(
            Proposal(pod_id="a", task_id="create", expected_generation=0, host="here", intent=intent)
        )

    async def work(self) -> Phase:
        self.world.pass_time(2.0)
        outcome = await self.world.reconciler.reconcile("a")
        return outcome.record.state.phase

    @property
    def port(self) -> int:
        return self.world.store.records["a"].intent.ports[0].host


async def test_a_new_pod_moves_at_once_and_past_all_that_are_taken() -> None:
    bench = Bench()
    bench.world.engine.busy_ports = {20000, 20001, 20002, 20003}
    await bench.create(20000)
    assert await bench.work() is Phase.RUNNING
    assert bench.port not in bench.world.engine.busy_ports
    reserved = await bench.world.store.reserved_ports("here")
    assert [(port.host, owner) for port, owner in reserved] == [(bench.port, "a")]


async def test_a_pod_that_ran_moves_only_when_its_port_stays_taken() -> None:
    """The Engine may still be freeing the port of its last container."""
    bench = Bench()
    await bench.create(20000)
    assert await bench.work() is Phase.RUNNING
    await bench.world.request("a", Stop())
    await bench.work()
    await bench.world.request("a", Restart())
    bench.world.engine.busy_ports = {20000}
    assert await bench.work() is Phase.PENDING
    assert bench.port == 20000
    bench.world.engine.busy_ports = set()
    assert await bench.work() is Phase.RUNNING
    assert bench.port == 20000
    await bench.world.request("a", Stop())
    await bench.work()
    await bench.world.request("a", Restart())
    bench.world.engine.busy_ports = {20000}
    assert [await bench.work() for _ in range(3)] == [Phase.PENDING, Phase.PENDING, Phase.RUNNING]
    assert bench.port != 20000


async def test_a_host_on_which_all_are_taken_fails_the_pod() -> None:
    """After a few attempts; it is tried again later."""
    bench = Bench()
    bench.world.engine.busy_ports = set(FREE)
    await bench.create(20000)
    assert await bench.work() is Phase.FAILED
    assert not bench.world.engine.is_running("a")


async def test_a_port_that_was_asked_for_is_never_moved() -> None:
    bench = Bench(PodSpec(image="image", ports=(PortSpec(container=80, host=20000),)))
    bench.world.engine.busy_ports = {20000}
    await bench.create(20000)
    assert await bench.work() is Phase.FAILED
    assert bench.port == 20000
