"""How often a record is saved, as each save waits for a disk, and what has to be saved before what."""

from collections import Counter

from tests.properties.test_convergence import World
from worker.planner.steps import (
    BeginFill,
    CreateContainer,
    CreateVolume,
    FinishPurge,
    RemoveContainer,
    RemoveVolume,
    together,
)
from worker.pods.model import Phase, PodState, Volume, VolumeClass
from worker.pods.requests import Create
from worker.pods.spec import PodSpec


class Watched:
    """A world without faults, in which every save and every Engine operation is noted."""

    def __init__(self) -> None:
        self.world = World(seed=1, cuts=Counter())
        self.saved: list[Phase] = []
        self.store = self.world.store
        self.before: dict[str, PodState] = {}
        self.store.after = self._after
        self.world.engine.before = self._before

    async def reconcile(self) -> None:
        self.saved.clear()
        await self.world.reconciler.reconcile("a")

    def _after(self, operation: str) -> None:
        if operation == "save":
            self.saved.append(self.store.records["a"].state.phase)

    def _before(self, operation: str) -> None:
        if "a" in self.store.records:
            self.before[operation] = self.store.records["a"].state


async def test_a_creation_saves_what_must_be_durable_and_the_rest_once() -> None:
    """Durable are how `/usr` is kept, what is about to be filled, that it is filled, and the pod's phase."""
    watched = Watched()
    await watched.world.request("a", Create(spec=PodSpec(image="image")))
    await watched.reconcile()
    assert watched.saved == [Phase.PENDING, Phase.PENDING, Phase.PENDING, Phase.RUNNING]
    assert watched.before["container_create"].layout, "it was not noted which volumes are filled"
    assert watched.before["container_start"].initialised, "it was started before that was noted"


async def test_a_recovery_saves_that_the_pod_is_away_and_that_it_is_back() -> None:
    watched = Watched()
    await watched.world.request("a", Create(spec=PodSpec(image="image")))
    await watched.reconcile()
    first = watched.store.records["a"].state.container_id
    watched.world.engine.lose_container("a")
    await watched.reconcile()
    assert watched.saved == [Phase.PENDING, Phase.RUNNING]
    state = watched.store.records["a"].state
    assert state.container_id not in {None, first}
    assert (state.starts, state.restarts) == (2, 1)


def test_only_volumes_are_made_together() -> None:
    one, other = (
        CreateVolume(
            Volume(
                name=name,
                path=f"/{name}",
                volume_class=VolumeClass.UNIVERSAL,
                incarnation="one",
                filled=False,
            )
        )
        for name in ("home", "var")
    )
    assert list(together([BeginFill(), one, other, CreateContainer(), one])) == [
        (BeginFill(),),
        (one, other),
        (CreateContainer(),),
        (one,),
    ]


def test_volumes_are_removed_together_after_those_that_mount_them() -> None:
    home, var, layers = (RemoveVolume(name) for name in ("home", "var", "layers"))
    usr = RemoveVolume("usr", on_others=True)
    assert list(together([RemoveContainer("c", force=True), usr, home, var, layers, FinishPurge()])) == [
        (RemoveContainer("c", force=True),),
        (usr,),
        (home, var, layers),
        (FinishPurge(),),
    ]
