"""Templates go once no pod of the host has their image, and not a moment before."""

from typing import Any, Final

from tests.support.situations import MINE, ON_POOL, pod
from worker.host.template_cleanup import TemplateCleanup
from worker.host.unused import Unused
from worker.planner.host.unused_templates import unused_templates
from worker.pods.model import PinnedImage, Record, Unreadable
from worker.pods.observation import Snapshot, WholePool
from worker.pool.errors import PoolCommandError

GRACE_S: Final = 100.0
A, B, C = ("a" * 64, "b" * 64, "c" * 64)


def on(image: str, *, now: str | None = None) -> Record:
    """Return a pod that began with one image, and has another now."""
    began = PinnedImage(reference="one", id=f"sha256:{image}")
    has = began if now is None else PinnedImage(reference="two", id=f"sha256:{now}")
    return pod(image=has, system=ON_POOL.evolve(image=began), subvolume=MINE)


def test_an_image_that_a_pod_has_or_began_with_is_used() -> None:
    templates = frozenset(f"{image}-1234" for image in (A, B, C)) | {f".{A}-1234-cut"}
    assert unused_templates([on(A)], templates) == templates - {f"{A}-1234"}
    assert unused_templates([on(A, now=B)], templates) == {f"{C}-1234", f".{A}-1234-cut"}
    volume = on(A).state.layout[0].evolve(image=f"sha256:{C}")
    older = on(A).evolve(state=on(A).state.evolve(layout=(volume,)))
    assert unused_templates([older], templates) == {f"{B}-1234", f".{A}-1234-cut"}


def test_while_a_record_cannot_be_read_all_are_used() -> None:
    broken = on(A).evolve(unreadable=Unreadable(reason="a field", only_spec=False))
    assert unused_templates([broken], {f"{B}-1234"}) == frozenset()


class Host:
    def __init__(self) -> None:
        self.now, self.removed = 0.0, list[str]()
        self.is_busy = False
        pool: Any = self
        self.cleanup = TemplateCleanup(pool=pool, unused=Unused(grace_s=GRACE_S, clock=lambda: self.now))

    async def remove_template(self, name: str) -> None:
        if self.is_busy:
            raise PoolCommandError("busy")
        self.removed.append(name)

    async def look(self, *records: Record, problem: str | None = None) -> list[str]:
        pool = WholePool(templates=frozenset({f"{A}-1"}), problem=problem)
        await self.cleanup.run(records, Snapshot.of((), (), pool=pool))
        return self.removed


async def test_it_goes_after_the_grace_time_which_begins_again_when_it_was_used() -> None:
    host = Host()
    assert await host.look() == []
    host.now = GRACE_S - 1
    assert await host.look(on(A)) == []
    host.now = GRACE_S + 1
    assert await host.look() == []
    host.now = 3 * GRACE_S
    assert await host.look(problem="not mounted") == []
    host.is_busy = True
    assert await host.look() == []
    host.is_busy = False
    assert await host.look() == [f"{A}-1"]


async def test_on_a_host_without_a_pool_nothing_is_done() -> None:
    cleanup = TemplateCleanup(pool=None, unused=Unused(grace_s=0.0))
    await cleanup.run([], Snapshot.of((), ()))
