"""A pod's whole life on a real pool: made, lost, brought back on its own data, and gone once deleted."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import time
from typing import Any, Final

import pytest

from tests.support.pools import INSTALLATION, Parts
from worker.errors import ForeignObjectError
from worker.interfaces import Proposal
from worker.local.images import STAY, import_busybox
from worker.local.pool_file import PoolFile
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.pods.layout import full_names
from worker.pods.model import Installation, Intent, IntentKind, Phase, SystemMode
from worker.pods.observation import ObservedSize
from worker.pods.spec import PodSpec
from worker.pool.pods import begun_name
from worker.pool.storage import PoolStorage
from worker.pool.templates import Templates
from worker.reconcile.reconciler import Outcome, Reconciler, Seen
from worker.store.redis_store import RedisStore

Make = Callable[..., Parts]
OWN: Final = Installation(name=INSTALLATION, network="pools", system_volumes=SystemMode.POOL)
IMAGE: Final = "pinacle-rooms"
PLACES: Final = ("/home", "/etc", "/var/lib", "/bin", "/usr/bin", "/app", "/usr/local", "/var/lib/db")
"""Where an owner writes: universal, system, directories of the image directly below `/`, a VOLUME."""


class Rig:
    """One host with a pool, and one pod."""

    def __init__(self, parts: Parts, engine: PrivateEngine, file: PoolFile, store: RedisStore) -> None:
        self.parts, self.engine, self.file, self.store = parts, engine, file, store
        parts.docker.pool = PoolStorage(
            pool=parts.pool, templates=Templates(parts.pool, parts.filling), fill_deadline_s=60
        )
        self.reconciler = Reconciler(
            engine=parts.docker, store=store, installation=OWN, clock=time, step_deadline_s=5
        )
        self.generation = 0

    async def want(
        self,
        kind: IntentKind = IntentKind.RUNNING,
        *,
        image_name: str = IMAGE,
        tier: str = "dev.small",
        hostname: str | None = None,
        **intent: Any,
    ) -> Outcome:
        """Accept an intent for the pod, and bring it there."""
        self.generation += 1
        command = ("sh", "-c", STAY)
        spec = PodSpec(image=image_name, tier=tier, hostname=hostname, command=command, stop_timeout_s=1)
        purge = self.generation if kind is IntentKind.DELETED else 0
        accepted = Intent(
            kind=kind, generation=self.generation, spec=spec, **{"purge_generation": purge, **intent}
        )
        await self.store.accept(
            Proposal(
                pod_id="a",
                task_id=f"task {self.generation}",
                expected_generation=self.generation - 1,
                host="here",
                intent=accepted,
            )
        )
        return await self.reconcile()

    async def size(self) -> ObservedSize | None:
        return await self.parts.docker.subvolume_size("a")

    @staticmethod
    def uuid(outcome: Outcome) -> str:
        assert outcome.record.state.subvolume is not None
        return outcome.record.state.subvolume.uuid

    async def pass_over(self) -> Outcome:
        """Reconcile by what a pass sees."""
        record = await self.store.load("a")
        assert record is not None
        seen = (await self.parts.docker.observe_all()).pod("a", full_names("a", record.state))
        return await self.reconciler.reconcile("a", Seen(record=record, observation=seen))

    async def reconcile(self) -> Outcome:
        return await self.reconciler.reconcile("a")

    def sh(self, script: str) -> str:
        return self.engine.docker("exec", "pinacle-pod-a", "sh", "-ec", script)

    def write(self) -> None:
        self.sh("; ".join(f"mkdir -p {place}; echo mine > {place}/mine" for place in PLACES))

    def has_all(self) -> bool:
        """Whether the pod has what its owner wrote, and what its image had beside it."""
        read = self.sh("; ".join(f"cat {place}/mine" for place in PLACES))
        return read == "mine\n" * len(PLACES) and self.sh("cat /app/code /opt/readme").startswith("code\n")

    def volumes(self) -> list[str]:
        return self.engine.docker("volume", "ls", "-q", "--filter", "name=pinacle-vol-a-").split()

    def remove_all(self) -> None:
        """Remove what a failed test left, and the network."""
        for listed, remove in ((("ps", "-aq"), ("rm", "-f")), (("volume", "ls", "-q"), ("volume", "rm"))):
            left = self.engine.docker(*listed, "--filter", f"label=dev.pinacle.installation={INSTALLATION}")
            if left:
                self.engine.docker(*remove, *left.split())
        self.engine.docker("network", "rm", "pools")

    def on_pool(self) -> set[str]:
        return {path.name for path in (self.file.seen / "pods").iterdir()}


@pytest.fixture
async def rig(
    make: Make, engine: PrivateEngine, pool_file: PoolFile, redis_url: str, tmp_path: Path
) -> AsyncIterator[Rig]:
    import_busybox(
        engine, IMAGE, changes=("VOLUME /var/lib/db",), files={"app/code": b"code\n", "nix/store": b"store\n"}
    )
    store = RedisStore(
        redis_url, lease_ttl_s=30, takeover_delay_s=0.0, heartbeat_ttl_s=1.0, socket_timeout_s=2.0
    )
    parts = make()
    await parts.pool.open(None)
    rig = Rig(parts, engine, pool_file, store)
    yield rig
    await store.close()
    rig.remove_all()


async def test_everything_that_a_pod_has_outlives_its_container_and_its_volumes(rig: Rig) -> None:
    made = await rig.want()
    assert made.record.state.phase is Phase.RUNNING, made
    assert rig.on_pool() == {"a"}
    rig.write()
    for lost in ("its container", "its volumes too"):
        rig.engine.docker("rm", "-f", "pinacle-pod-a")
        if lost == "its volumes too":
            rig.engine.docker("volume", "rm", *rig.volumes())
        assert (await rig.reconcile()).record.state.phase is Phase.RUNNING, lost
        assert rig.has_all(), lost
    assert {"/app", "/nix"} <= {volume.path for volume in made.record.state.layout}
    gone = await rig.want(IntentKind.DELETED)
    assert gone.record.state.phase is Phase.DELETED
    assert (rig.on_pool(), rig.volumes()) == (set(), [])


async def test_without_its_pool_a_pod_waits_and_nothing_is_made(rig: Rig) -> None:
    """Not below the empty mount point either; it goes on by itself once the pool is back."""
    await rig.want()
    rig.write()
    await rig.want(IntentKind.STOPPED)
    rig.file.unmount()
    # A command may still see what the host has unmounted; the Engine does not.
    assert (await rig.want()).record.state.phase is not Phase.RUNNING
    waiting = await rig.reconcile()
    assert waiting.record.state.phase is Phase.STORAGE_MISSING, waiting
    assert list(rig.file.seen.iterdir()) == []
    deleting = await rig.want(IntentKind.DELETED)
    assert deleting.record.state.phase is Phase.DELETING, "unknown is not gone"
    rig.file.mount()
    assert (await rig.reconcile()).record.state.phase is Phase.DELETED
    assert rig.on_pool() == set()


async def test_another_subvolume_in_a_pods_place_is_neither_used_nor_removed(rig: Rig) -> None:
    await rig.want()
    rig.write()
    await rig.want(IntentKind.STOPPED)
    await rig.parts.pool.run(
        "test",
        "cd /pool/pods && mv a aside && btrfs subvolume create a && mkdir a/home && touch a/home/other",
    )
    assert (await rig.want()).record.state.phase is Phase.STORAGE_MISSING
    await rig.parts.pool.run("test", "cd /pool/pods && mv a other && mv aside a")
    assert (await rig.reconcile()).record.state.phase is Phase.RUNNING
    assert rig.has_all()
    await rig.want(IntentKind.DELETED)
    assert rig.on_pool() == {"other"}


async def test_what_was_begun_and_cut_off_is_rolled_back(rig: Rig) -> None:
    """Under a name of its own, and after it got the pod's."""
    assert rig.parts.docker.pool is not None
    await rig.want()
    image = await rig.parts.docker.find_image(IMAGE)
    assert image is not None
    await rig.want(IntentKind.DELETED)
    await rig.parts.docker.begin_subvolume("a", "cut", image, {"opt": "/opt"}, limit=10**9)
    assert rig.on_pool() == {begun_name("a", "cut")}
    assert (await rig.want()).record.state.phase is Phase.RUNNING
    assert rig.on_pool() == {"a"}
    await rig.want(IntentKind.DELETED)


async def test_what_a_pod_gets_later_is_kept_in_its_subvolume_too(rig: Rig) -> None:
    """A directory that its owner made in `/`, the VOLUME of another image, and what that has in `/`."""
    await rig.want()
    rig.sh(
        "mkdir -m 2750 /mine && echo mine > /mine/file && ln /mine/file /mine/hard && ln -s ../etc /mine/link"
    )
    assert (await rig.want(hostname="other")).record.state.phase is Phase.RUNNING
    look = "ls -ld /mine | cut -c1-10; cat /mine/hard; readlink /mine/link; cat /data/file /site/page"
    import_busybox(
        rig.engine,
        "pinacle-later",
        changes=("VOLUME /data",),
        files={"data/file": b"image\n", "site/page": b"page\n"},
    )
    updated = await rig.want(image_name="pinacle-later")
    assert updated.record.state.phase is Phase.RUNNING, updated
    rig.sh("echo mine >> /site/page")
    for lost in ("nothing", "its container", "its volumes"):
        if lost != "nothing":
            rig.engine.docker("rm", "-f", "pinacle-pod-a")
        if lost == "its volumes":
            rig.engine.docker("volume", "rm", *rig.volumes())
        assert (await rig.reconcile()).record.state.phase is Phase.RUNNING, lost
        assert rig.sh(look).splitlines() == ["drwxr-s---", "mine", "../etc", "image", "page", "mine"], lost
    inside = {path.name for path in (rig.file.seen / "pods" / "a").iterdir()}
    assert {name.partition(".")[0] for name in inside if name.count(".") == 2} == {"declared"}
    await rig.want(IntentKind.DELETED)
    assert rig.on_pool() == set()


TOUCHES: Final = {
    "nothing": "true",
    "reading": "cat /app/code > /dev/null; touch /app/code",
    "content": "echo mine > /app/code; touch -r /app/in/file /app/code",
}
UNTOUCHED: Final = ("nothing", "reading")
EDITIONS: Final = ("first", "second", "third")


def import_edition(engine: PrivateEngine, edition: str) -> str:
    """Make an image whose `/app` says which edition it is; the first has a directory more."""
    files = {"app/code": f"{edition:4.4}\n".encode(), "app/in/file": b"in\n", "app/run/data": b"data\n"}
    if edition == "first":
        files["old/file"] = b"old\n"
    name = f"pinacle-{edition}"
    import_busybox(engine, name, changes=("VOLUME /app/run",), files=files)
    return name


@pytest.mark.parametrize("touch", TOUCHES)
async def test_what_an_owner_did_not_change_comes_from_the_next_image(rig: Rig, touch: str) -> None:
    """The rest stays as it is, as a whole, and is the owner's from then on; by two updates."""
    first, second, third = (import_edition(rig.engine, edition) for edition in EDITIONS)
    await rig.want(image_name=first)
    rig.sh(f"{TOUCHES[touch]}; echo mine > /home/mine; echo mine > /usr/mine; echo mine > /app/run/mine")
    before = rig.sh("ls -lR /app")
    for image, edition in ((second, "seco"), (third, "thir")):
        updated = await rig.want(image_name=image)
        assert updated.record.state.phase is Phase.RUNNING, updated
        assert rig.sh("cat /home/mine /usr/mine /app/run/mine") == "mine\n" * 3
        if touch in UNTOUCHED:
            assert rig.sh("cat /app/code /app/in/file") == f"{edition}\nin\n"
            assert "/app" not in updated.record.state.kept
        else:
            assert rig.sh("ls -lR /app") == before
            assert updated.record.state.kept == (("/app",) if image == second else updated.record.state.kept)
        assert "old" not in rig.sh("ls /").split()
    inside = [path.name for path in (rig.file.seen / "pods" / "a").iterdir()]
    assert len(inside) == len(updated.record.state.layout), inside
    await rig.want(IntentKind.DELETED)
    assert rig.on_pool() == set()


async def test_what_an_owner_gives_up_is_the_next_images(rig: Rig) -> None:
    first, second, _ = (import_edition(rig.engine, edition) for edition in EDITIONS)
    await rig.want(image_name=first)
    rig.sh("echo mine > /app/code; echo mine > /old/file")
    await rig.want(image_name=second, discard=("/app",), discard_generation=rig.generation + 1)
    assert rig.sh("cat /app/code /old/file") == "seco\nmine\n"
    await rig.want(IntentKind.DELETED)


async def test_pods_that_began_with_a_template_need_it_no_more(rig: Rig) -> None:
    """The next pod of the image has another one made; what is no template of ours stays."""
    await rig.want()
    rig.write()
    pool = rig.parts.docker.pool
    assert pool is not None
    (name,) = (await pool.whole()).templates
    for each in (f"../pods/{rig.on_pool().pop()}", ".", "", "own", name):
        await pool.remove_template(each)
    assert (await pool.whole()).templates == frozenset()
    rig.engine.docker("rm", "-f", "pinacle-pod-a")
    assert (await rig.reconcile()).record.state.phase is Phase.RUNNING
    assert rig.has_all()
    await rig.want(IntentKind.DELETED)
    assert (await rig.want()).record.state.phase is Phase.RUNNING
    assert (await pool.whole()).templates == {name}
    await rig.want(IntentKind.DELETED)


async def test_a_place_that_was_begun_is_removed_and_a_neighbours_stays(rig: Rig) -> None:
    """Links in it lead nowhere: it is removed by what sees nothing else."""
    made = await rig.want()
    uuid = rig.uuid(made)
    await rig.parts.docker.add_directory("a", uuid, "declared.mine.two")
    script = "cd /pool/pods/a/declared.mine.two && ln -s ../../../templates out && mkdir in && touch in/file"
    await rig.parts.pool.run("test", script)
    for _ in range(2):
        await rig.parts.docker.remove_directory("a", uuid, "declared.mine.two")
    assert "declared.mine.two" not in {path.name for path in (rig.file.seen / "pods" / "a").iterdir()}
    assert list((rig.file.seen / "templates").iterdir()) != []
    with pytest.raises(ForeignObjectError):
        await rig.parts.docker.remove_directory("a", "another", "home")
    assert rig.sh("ls -d /home") == "/home\n"
    await rig.want(IntentKind.DELETED)


async def test_a_pods_limit_follows_its_tier(rig: Rig) -> None:
    """Set when it is made, changed while it runs, and set again when somebody has changed it."""
    sizes = []
    for tier in ("dev.small", "dev.large"):
        await rig.want(tier=tier)
        sizes.append(await rig.size())
    await rig.parts.docker.limit_subvolume("a", rig.uuid(await rig.reconcile()), 10**9)
    sizes.append(await rig.size())
    await rig.pass_over()
    sizes.append(await rig.size())
    gb = [size.limit / 10**9 for size in sizes if size is not None and size.limit is not None]
    assert gb == [20, 80, 1, 80]
    assert all(size is not None and size.used < 10**6 for size in sizes), "the template's is not its own"
    await rig.want(IntentKind.DELETED)
    for _ in range(3):
        await rig.parts.docker.observe_all()
    shown = await rig.parts.pool.run("test", "btrfs qgroup show /pool | grep -c ' 1/' || true")
    assert shown.strip() == "0", "the group of a pod that is gone goes too"


async def test_root_in_a_pod_makes_no_subvolumes(rig: Rig, helper_image: str) -> None:
    """Neither after an update nor after a loss; reflinks work."""
    made = await rig.want(image_name=helper_image)
    assert made.record.state.phase is Phase.RUNNING, made
    for _ in ("made", "lost"):
        with pytest.raises(EngineFailedError, match="Operation not permitted"):
            rig.sh("btrfs subvolume create /home/one")
        assert rig.sh("ls /home") == ""
        rig.sh("echo x > /opt/a; cp --reflink=always /opt/a /opt/b; cmp /opt/a /opt/b")
        rig.engine.docker("rm", "-f", "pinacle-pod-a")
        await rig.reconcile()
    await rig.want(IntentKind.DELETED)


async def test_a_pod_is_made_with_few_commands_on_the_pool(rig: Rig) -> None:
    """The image's template is there by then. The number is exact."""
    await rig.want()
    await rig.want(IntentKind.DELETED)
    sent: list[str] = []
    run = rig.parts.pool.run

    async def counted(what: str, script: str, *arguments: str, deadline_s: float | None = None) -> str:
        sent.append(what)
        return await run(what, script, *arguments, deadline_s=deadline_s)

    rig.parts.pool.run = counted  # type: ignore[method-assign]
    await rig.want()
    assert sent == ["pod: look", "pod: begin", "pod: finish", "pod: look"]
    sent.clear()
    await rig.want(IntentKind.DELETED)
    assert sent == ["pod: look", "pool: list", "pod: remove"]
