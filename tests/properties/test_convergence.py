"""Random intents, random faults between any two steps, then quiet: the world ends up as it should be."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

import pytest
from hypothesis import settings

from config.tiers import TIERS
from tests.support.fake_engine import HALF, FakeEngine
from tests.support.fake_pool import FakePool
from tests.support.fake_store import FakeStore
from worker.errors import EngineUnavailableError, OutcomeUnknownError, PodError, StoreUnavailableError
from worker.interfaces import Lease, Proposal
from worker.planner.plan import plan
from worker.planner.volumes.pooled.directories import directory_name
from worker.pods.layout import full_names
from worker.pods.model import Installation, IntentKind, Phase, PinnedImage, PodState, Record, SystemMode
from worker.pods.naming import LABEL_BASE, container_name, volume_name
from worker.pods.observation import ALIVE, Snapshot
from worker.pods.requests import (
    Create,
    Delete,
    Request,
    Resolved,
    Restart,
    Start,
    Stop,
    Update,
    check,
    intent_for,
)
from worker.pods.spec import PodSpec
from worker.reconcile.reconciler import Reconciler, Seen

SEEDS: Final = settings().max_examples
ENOUGH_FOR_EVERY_CUT: Final = 500
OPERATIONS: Final = 50
PODS: Final = ("a", "a-b", "a-usr", "ab")
OWN: Final = Installation(name="test", network="net")
ON_POOL: Final = Installation(name="test", network="net", system_volumes=SystemMode.POOL)
IMAGE: Final = PinnedImage(reference="image", id="sha256:1", volumes=("/var/lib/db",))
OTHER: Final = PinnedImage(reference="other", id="sha256:2", repo_digest="other@sha256:9", volumes=("/data",))
NESTED: Final = (
    PinnedImage(reference="nested", id="sha256:3", volumes=("/data/db", "/app/data", "/srv/db")),
    PinnedImage(reference="below", id="sha256:5", volumes=("/srv/db",)),
    PinnedImage(reference="deep", id="sha256:4", volumes=("/data/db/deep", "/data", "/nix/var", "/app")),
)
"""Images whose volumes lie at, above and below each other and what owners make."""
PLACES: Final = (
    *("/mine/file", "/nix/file", "/nix/var/file", "/data/file", "/data/db/file", "/data/db/deep/file"),
    *("/app/file", "/app/data/file", "/srv/file", "/srv/db/file", "/srv/db/sub/file"),
)
"""Where owners make files: in `/`, in directories of the image, and on volumes."""
SPECS: Final = (
    PodSpec(image="image"),
    PodSpec(image="image", hostname="renamed"),
    PodSpec(image="image", tier="dev.large"),
    PodSpec(image="other"),
    PodSpec(image="nested"),
    PodSpec(image="deep"),
    PodSpec(image="below"),
)
MUST_BE_CUT: Final = frozenset(
    {
        *("image_inspect", "image_pull", "volume_create", "volume_list", "volume_remove", "container_create"),
        *("container_start", "container_stop", "container_update", "container_unpause", "container_remove"),
        *("container_list", "container_rename", "network_connect"),
        *("system_prepare", "layers_fill", "container_changes"),
        *("folder_copy", "folder_measure", "volume_look"),
        *("label", "fill", "begin_fill", "commit_fill", "record_exit", "finish_purge", "rest"),
        *("accept", "lease", "load", "release"),
    }
)
"""Every kind of Engine operation and every kind of note, by what it is called in this test."""
OPENING: Final = frozenset({"lease", "load", "release", "container_inspect", "volume_list"})


class World:
    """Four pods, one fake Engine, one fake store, and faults."""

    def __init__(self, seed: int, cuts: Counter[str], own: Installation = OWN) -> None:
        self.own = own
        self.random = Random(seed)
        self.engine, self.store, self.cuts = FakeEngine(), _NotingStore(self._note), cuts
        if own is ON_POOL:
            self.engine.pool = FakePool()
            self.engine.roots = {IMAGE.id: ("/nix",), OTHER.id: ("/mine", "/nix"), NESTED[0].id: ("/app",)}
        self.engine.images = {image.reference: image for image in (IMAGE, OTHER, *NESTED)}
        self.engine.registry = {"other@sha256:9": OTHER, "other": OTHER}
        self.files: dict[str, dict[str, str]] = {pod_id: {} for pod_id in PODS}
        """What the owner of a pod made and must find again, by pod and path."""
        self.now = 1000.0
        self.written: dict[str, str] = {}
        """What the owner of a pod wrote last, by pod."""
        self._touched: dict[str, frozenset[str]] = {}
        self.fault_rate = 0.0
        self._serial = 0
        self.engine.before = self._fault(EngineUnavailableError)
        self.engine.after = self._fault(OutcomeUnknownError)
        self.engine.during_fill = lambda: self._cut("fill", OutcomeUnknownError("dockerd was killed"))
        self.engine.before_labels = self._cut_before_labels
        self.store.before = self.store.after = self._fault(StoreUnavailableError)
        self.noted = "rest"
        self.reconciler = self._new_process()

    async def request(self, pod_id: str, request: Request) -> None:
        """Accept an intent as the service does, twice, as a redelivery would."""
        record = await self.store.load(pod_id)
        check(pod_id, record, request)
        self._serial += 1
        proposal = Proposal(
            pod_id=pod_id,
            task_id=f"task-{self._serial}",
            expected_generation=record.intent.generation if record is not None else 0,
            host="here",
            intent=intent_for(record, request, Resolved(image=IMAGE if self.random.random() < 0.5 else None)),
        )
        try:
            for _ in range(2):
                await self.store.accept(proposal)
        finally:
            accepted = self.store.records.get(pod_id)
            if accepted is not None and accepted.purging:
                self.written.pop(pod_id, None)
                self.files[pod_id].clear()
        assert self.store.records[pod_id].intent.generation == proposal.expected_generation + 1

    async def work(self, pod_id: str) -> None:
        """Reconcile once; after that, the process may be replaced by another one."""
        with suppress(PodError):
            await self.reconciler.reconcile(pod_id)
        if self.random.random() < self.fault_rate:
            self.reconciler = self._new_process()

    async def settle(self) -> None:
        """Reconcile without faults until nothing changes, while time passes."""
        self.fault_rate = 0.0
        if self.engine.pool is not None:
            self.engine.pool.problem = None
        for _ in range(12):
            self.pass_time(700.0)
            for pod_id in self.store.records:
                await self.work(pod_id)
        for pod_id in self.store.records:
            await self.pass_over(pod_id)

    async def pass_over(self, pod_id: str) -> None:
        """Reconcile by what a pass sees of all pods."""
        record, seen = self.store.records[pod_id], await self.engine.observe_all()
        names = full_names(pod_id, record.state)
        await self.reconciler.reconcile(pod_id, Seen(record=record, observation=seen.pod(pod_id, names)))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.store.now = self.engine.now = self.now

    def write(self, pod_id: str) -> None:
        """Let the owner of a running pod write into all its volumes."""
        # What is written after a deletion was accepted is removed with the rest.
        if self.engine.is_running(pod_id) and not self.store.records[pod_id].purging:
            self._serial += 1
            self.written[pod_id] = f"written {self._serial}"
            self._touched[pod_id] = self.engine.write(pod_id, self.written[pod_id])

    def make_file(self, pod_id: str) -> None:
        """Let the owner of a running pod make a file somewhere."""
        # If two containers run, only one stays the pod's.
        alone = sum(c.observed.state in ALIVE for c in self.engine.of_pod(pod_id)) == 1
        if alone and not self.store.records[pod_id].purging:
            self._serial += 1
            path, text = self.random.choice(PLACES), f"file {self._serial}"
            self.engine.make_file(pod_id, path, text)
            self.files[pod_id][path] = text

    def lose_container(self, pod_id: str) -> None:
        """Lose a container, and what was in its own root."""
        for container in self.engine.of_pod(pod_id)[:1]:
            for path, text in container.files.items():
                if self.files[pod_id].get(path) == text:
                    del self.files[pod_id][path]
        self.engine.lose_container(pod_id)

    def touched(self, pod_id: str) -> frozenset[str]:
        """Return the volumes that were written last: one that was made later has no such content."""
        return self._touched.get(pod_id, frozenset())

    def _new_process(self) -> Reconciler:
        return Reconciler(
            engine=self.engine,
            store=self.store,
            installation=self.own,
            clock=lambda: self.now,
            step_deadline_s=10.0,
            new_incarnation=lambda: f"{self.random.getrandbits(64):016x}",
        )

    def _note(self, kind: str) -> None:
        self.noted = kind

    def _fault(self, error: type[PodError]) -> Callable[[str], None]:
        def maybe(operation: str) -> None:
            # The calls that every reconcile begins with fail less often, or hardly any would get further.
            if operation in OPENING and self.random.random() > 0.2:
                return
            self._cut(self.noted if operation == "save" else operation, error(f"{operation}: cut"))

        return maybe

    def _cut_before_labels(self) -> None:
        # A creation makes many volumes: if these failed as often as the rest, hardly any would get further.
        if self.random.random() < 0.1:
            self._cut("label", OutcomeUnknownError("dockerd was killed"))

    def _cut(self, what: str, error: PodError) -> None:
        if self.random.random() < self.fault_rate:
            self.cuts[what] += 1
            raise error


class _NotingStore(FakeStore):
    """Says which note a save is about to make."""

    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    async def save(self, record: Record, lease: Lease) -> None:
        before = self.records[record.pod_id].state if record.pod_id in self.records else record.state
        self._note(_kind_of_note(before, record.state))
        await super().save(record, lease)


def _kind_of_note(before: PodState, after: PodState) -> str:
    if after.purged_generation != before.purged_generation:
        return "finish_purge"
    if after.initialised and not before.initialised and before.layout:
        return "commit_fill"
    if after.layout != before.layout:
        return "begin_fill"
    if after.crash != before.crash and after.crash is not None:
        return "record_exit"
    return "rest"


REQUESTS: Final[tuple[Callable[[World], Request], ...]] = (
    lambda world: Create(spec=world.random.choice(SPECS)),
    lambda world: Create(spec=world.random.choice(SPECS)),
    lambda world: Update(spec=world.random.choice(SPECS)),
    lambda world: Update(spec=world.random.choice(SPECS)),
    lambda _: Start(),
    lambda _: Stop(),
    lambda world: Restart(force=world.random.random() < 0.5),
    lambda _: Delete(),
)


def accident(  # noqa: C901 - a table, one case for each accident
    world: World, pod_id: str
) -> None:
    """Make something happen that nobody asked for."""
    match world.random.randrange(14):
        case 0:
            world.lose_container(pod_id)
        case 1 if world.engine.is_running(pod_id):
            world.engine.crash(pod_id)
        case 2:
            world.engine.restart_host()
        case 3 if world.engine.is_running(pod_id):
            world.engine.pause(pod_id)
        case 4:
            world.engine.images.pop("other", None)
        case 5:
            world.engine.lose_bases()
        case 6 | 10 if world.engine.is_running(pod_id):
            world.make_file(pod_id)
        case 7 if world.engine.of_pod(pod_id):
            world.engine.rename(pod_id)
        case 8 if world.engine.of_pod(pod_id):
            world.engine.disconnect(pod_id)
        case 11 | 12 if world.engine.pool is not None:
            world.engine.pool.problem = None if world.engine.pool.problem else "it is not mounted"
        case 9 if world.engine.is_running(pod_id):
            world.engine.double(pod_id)
        case _:
            world.write(pod_id)


async def live(world: World) -> None:
    """Let requests, accidents and faults happen for a while."""
    for _ in range(OPERATIONS):
        pod_id = world.random.choice(PODS)
        world.fault_rate = world.random.choice((0.0, 0.05, 0.25))
        with suppress(PodError):
            await world.request(pod_id, world.random.choice(REQUESTS)(world))
        for _ in range(world.random.randrange(3)):
            await world.work(pod_id)
            world.pass_time(world.random.choice((0.1, 5.0, 40.0)))
        accident(world, pod_id)


def check_world(world: World, seed: int) -> None:
    """Assert what must be true once everything is quiet."""
    for pod_id, record in world.store.records.items():
        where = f"seed {seed}, pod {pod_id}: {record.state.phase}, {record.state.reason}"
        names = full_names(pod_id, record.state)
        seen = Snapshot.of(
            [c.observed for c in world.engine.containers.values()],
            world.engine.observed_volumes(),
            pool=None if world.engine.pool is None else world.engine.pool.whole(),
        ).pod(pod_id, names)
        assert plan(record, seen, world.now, world.own).steps == (), where
        assert world.engine.is_running(pod_id) == (record.intent.kind is IntentKind.RUNNING), where
        if record.intent.kind is IntentKind.DELETED:
            assert record.state.phase is Phase.DELETED, where
            assert not seen.volumes, where
            assert not world.engine.of_pod(pod_id), where
        if seen.pool is not None:
            assert not seen.pool.begun or record.intent.kind is IntentKind.STOPPED, where
            there, noted = seen.pool.subvolume, record.state.subvolume
            assert there is None or (noted is not None and there.uuid == noted.uuid), where
        alive = [c.observed for c in world.engine.of_pod(pod_id) if c.observed.state in ALIVE]
        if alive and seen.pool is not None and record.intent.spec is not None:
            kept = seen.pool.subvolume
            assert kept is not None, where
            assert kept.size is not None, where
            assert world.engine.pool is not None, where
            directories = world.engine.pool.subvolumes[pod_id].directories.keys()
            assert directories == {directory_name(record, each) for each in record.state.layout}, where
            assert record.state.tier is not None, where
            assert kept.size.limit == TIERS[record.state.tier].storage_gb * 10**9, where
        assert [c.name for c in alive] == [container_name(pod_id)][: len(alive)], where
        assert all(c.networks == (OWN.network,) for c in alive), where
        if alive:
            seen_now = _kept_aside(world, pod_id, record) | world.engine.visible(pod_id)
            lost = {path for path, text in world.files[pod_id].items() if seen_now.get(path) != text}
            assert not lost, f"{where}: lost {lost} of {world.files[pod_id]}"
        for name in (volume_name(pod_id, volume.name) for volume in record.state.layout):
            if pod_id in world.written and name in world.touched(pod_id):
                assert world.engine.content(name) == world.written[pod_id], f"{where}: {name}"
    assert not world.engine.started_beside, f"seed {seed}: two ran at once"
    half = [
        (name, content)
        for _, contents in world.engine.started
        for name, content in contents.items()
        if content in ("", HALF)
    ]
    assert not half, f"seed {seed}: started on volumes that were not filled: {half}"
    known = {naming_prefix(pod_id) for pod_id in PODS}
    own = [name for name, volume in world.engine.volumes.items() if LABEL_BASE not in volume.labels]
    assert all(any(name.startswith(prefix) for prefix in known) for name in own)


def _kept_aside(world: World, pod_id: str, record: Record) -> dict[str, str]:
    """Return what is in stopped second containers of the pod, which its reason names."""
    told = record.state.reason or ""
    seconds = [c for c in world.engine.of_pod(pod_id) if c.observed.state not in ALIVE]
    return {path: text for each in seconds if each.observed.name in told for path, text in each.files.items()}


def naming_prefix(pod_id: str) -> str:
    return volume_name(pod_id, "")


@pytest.mark.timeout(900)
async def test_a_world_with_a_pool_converges_whatever_is_cut() -> None:
    """Even while the pool is not mounted."""
    cuts: Counter[str] = Counter()
    starts = 0
    for seed in range(SEEDS // 4):
        world = World(seed, cuts, ON_POOL)
        await live(world)
        await world.settle()
        check_world(world, seed)
        starts += len(world.engine.started)
    print(f"\n{SEEDS // 4} worlds, {starts} starts, cuts: {dict(sorted(cuts.items()))}")
    never = {
        "subvolume_begin",
        "subvolume_name",
        "subvolume_limit",
        "directory_add",
        "directory_remove",
        "directory_compare",
        "subvolume_remove",
        "pool_list",
    } - cuts.keys()
    assert SEEDS < ENOUGH_FOR_EVERY_CUT or not never, f"never cut: {sorted(never)}"


@pytest.mark.timeout(900)
async def test_the_world_converges_whatever_is_cut() -> None:
    """Data stays, nothing starts half filled, and every kind of step was cut at least once."""
    cuts: Counter[str] = Counter()
    starts = 0
    for seed in range(SEEDS):
        world = World(seed, cuts)
        await live(world)
        await world.settle()
        check_world(world, seed)
        starts += len(world.engine.started)
    print(f"\n{SEEDS} worlds, {starts} starts, cuts: {dict(sorted(cuts.items()))}")
    never = MUST_BE_CUT - cuts.keys() if SEEDS >= ENOUGH_FOR_EVERY_CUT else set()
    assert not never, f"never cut: {sorted(never)}"
