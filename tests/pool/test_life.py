"""A pod's whole life on a real pool: made, lost, brought back on its own data, and gone once deleted."""

from typing import Final

import pytest

from tests.support.pool_life import IMAGE, Life
from worker.errors import ForeignObjectError
from worker.local.images import import_busybox
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.pods.model import IntentKind, Phase
from worker.pool.pods import begun_name


async def test_everything_that_a_pod_has_outlives_its_container_and_its_volumes(life: Life) -> None:
    made = await life.want()
    assert made.record.state.phase is Phase.RUNNING, made
    assert life.on_pool() == {"a"}
    life.write()
    for lost in ("its container", "its volumes too"):
        life.engine.docker("rm", "-f", "pinacle-pod-a")
        if lost == "its volumes too":
            life.engine.docker("volume", "rm", *life.volumes())
        assert (await life.reconcile()).record.state.phase is Phase.RUNNING, lost
        assert life.has_all(), lost
    assert {"/app", "/nix"} <= {volume.path for volume in made.record.state.layout}
    gone = await life.want(IntentKind.DELETED)
    assert gone.record.state.phase is Phase.DELETED
    assert (life.on_pool(), life.volumes()) == (set(), [])


async def test_without_its_pool_a_pod_waits_and_nothing_is_made(life: Life) -> None:
    """Not below the empty mount point either; it goes on by itself once the pool is back."""
    await life.want()
    life.write()
    await life.want(IntentKind.STOPPED)
    life.file.unmount()
    # A command may still see what the host has unmounted; the Engine does not.
    assert (await life.want()).record.state.phase is not Phase.RUNNING
    waiting = await life.reconcile()
    assert waiting.record.state.phase is Phase.STORAGE_MISSING, waiting
    assert list(life.file.seen.iterdir()) == []
    deleting = await life.want(IntentKind.DELETED)
    assert deleting.record.state.phase is Phase.DELETING, "unknown is not gone"
    life.file.mount()
    assert (await life.reconcile()).record.state.phase is Phase.DELETED
    assert life.on_pool() == set()


async def test_another_subvolume_in_a_pods_place_is_neither_used_nor_removed(life: Life) -> None:
    await life.want()
    life.write()
    await life.want(IntentKind.STOPPED)
    await life.parts.pool.run(
        "test",
        "cd /pool/pods && mv a aside && btrfs subvolume create a && mkdir a/home && touch a/home/other",
    )
    assert (await life.want()).record.state.phase is Phase.STORAGE_MISSING
    await life.parts.pool.run("test", "cd /pool/pods && mv a other && mv aside a")
    assert (await life.reconcile()).record.state.phase is Phase.RUNNING
    assert life.has_all()
    await life.want(IntentKind.DELETED)
    assert life.on_pool() == {"other"}


async def test_what_was_begun_and_cut_off_is_rolled_back(life: Life) -> None:
    """Under a name of its own, and after it got the pod's."""
    assert life.parts.docker.pool is not None
    await life.want()
    image = await life.parts.docker.find_image(IMAGE)
    assert image is not None
    await life.want(IntentKind.DELETED)
    await life.parts.docker.begin_subvolume("a", "cut", image, {"opt": "/opt"}, limit=10**9)
    assert life.on_pool() == {begun_name("a", "cut")}
    assert (await life.want()).record.state.phase is Phase.RUNNING
    assert life.on_pool() == {"a"}
    await life.want(IntentKind.DELETED)


async def test_what_a_pod_gets_later_is_kept_in_its_subvolume_too(life: Life) -> None:
    """A directory that its owner made in `/`, the VOLUME of another image, and what that has in `/`."""
    await life.want()
    life.sh(
        "mkdir -m 2750 /mine && echo mine > /mine/file && ln /mine/file /mine/hard && ln -s ../etc /mine/link"
    )
    assert (await life.want(hostname="other")).record.state.phase is Phase.RUNNING
    look = "ls -ld /mine | cut -c1-10; cat /mine/hard; readlink /mine/link; cat /data/file /site/page"
    import_busybox(
        life.engine,
        "pinacle-later",
        changes=("VOLUME /data",),
        files={"data/file": b"image\n", "site/page": b"page\n"},
    )
    updated = await life.want(image_name="pinacle-later")
    assert updated.record.state.phase is Phase.RUNNING, updated
    life.sh("echo mine >> /site/page")
    for lost in ("nothing", "its container", "its volumes"):
        if lost != "nothing":
            life.engine.docker("rm", "-f", "pinacle-pod-a")
        if lost == "its volumes":
            life.engine.docker("volume", "rm", *life.volumes())
        assert (await life.reconcile()).record.state.phase is Phase.RUNNING, lost
        assert life.sh(look).splitlines() == ["drwxr-s---", "mine", "../etc", "image", "page", "mine"], lost
    inside = {path.name for path in (life.file.seen / "pods" / "a").iterdir()}
    assert {name.partition(".")[0] for name in inside if name.count(".") == 2} == {"declared"}
    await life.want(IntentKind.DELETED)
    assert life.on_pool() == set()


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
async def test_what_an_owner_did_not_change_comes_from_the_next_image(life: Life, touch: str) -> None:
    """The rest stays as it is, as a whole, and is the owner's from then on; by two updates."""
    first, second, third = (import_edition(life.engine, edition) for edition in EDITIONS)
    await life.want(image_name=first)
    life.sh(f"{TOUCHES[touch]}; echo mine > /home/mine; echo mine > /usr/mine; echo mine > /app/run/mine")
    before = life.sh("ls -lR /app")
    for image, edition in ((second, "seco"), (third, "thir")):
        updated = await life.want(image_name=image)
        assert updated.record.state.phase is Phase.RUNNING, updated
        assert life.sh("cat /home/mine /usr/mine /app/run/mine") == "mine\n" * 3
        if touch in UNTOUCHED:
            assert life.sh("cat /app/code /app/in/file") == f"{edition}\nin\n"
            assert "/app" not in updated.record.state.kept
        else:
            assert life.sh("ls -lR /app") == before
            assert updated.record.state.kept == (("/app",) if image == second else updated.record.state.kept)
        assert "old" not in life.sh("ls /").split()
    inside = [path.name for path in (life.file.seen / "pods" / "a").iterdir()]
    assert len(inside) == len(updated.record.state.layout), inside
    await life.want(IntentKind.DELETED)
    assert life.on_pool() == set()


async def test_what_an_owner_gives_up_is_the_next_images(life: Life) -> None:
    first, second, _ = (import_edition(life.engine, edition) for edition in EDITIONS)
    await life.want(image_name=first)
    life.sh("echo mine > /app/code; echo mine > /old/file")
    await life.want(image_name=second, discard=("/app",), discard_generation=life.generation + 1)
    assert life.sh("cat /app/code /old/file") == "seco\nmine\n"
    await life.want(IntentKind.DELETED)


async def test_pods_that_began_with_a_template_need_it_no_more(life: Life) -> None:
    """The next pod of the image has another one made; what is no template of ours stays."""
    await life.want()
    life.write()
    pool = life.parts.docker.pool
    assert pool is not None
    (name,) = (await pool.whole()).templates
    for each in (f"../pods/{life.on_pool().pop()}", ".", "", "own", name):
        await pool.remove_template(each)
    assert (await pool.whole()).templates == frozenset()
    life.engine.docker("rm", "-f", "pinacle-pod-a")
    assert (await life.reconcile()).record.state.phase is Phase.RUNNING
    assert life.has_all()
    await life.want(IntentKind.DELETED)
    assert (await life.want()).record.state.phase is Phase.RUNNING
    assert (await pool.whole()).templates == {name}
    await life.want(IntentKind.DELETED)


async def test_a_place_that_was_begun_is_removed_and_a_neighbours_stays(life: Life) -> None:
    """Links in it lead nowhere: it is removed by what sees nothing else."""
    made = await life.want()
    uuid = life.uuid(made)
    await life.parts.docker.add_directory("a", uuid, "declared.mine.two")
    script = "cd /pool/pods/a/declared.mine.two && ln -s ../../../templates out && mkdir in && touch in/file"
    await life.parts.pool.run("test", script)
    for _ in range(2):
        await life.parts.docker.remove_directory("a", uuid, "declared.mine.two")
    assert "declared.mine.two" not in {path.name for path in (life.file.seen / "pods" / "a").iterdir()}
    assert list((life.file.seen / "templates").iterdir()) != []
    with pytest.raises(ForeignObjectError):
        await life.parts.docker.remove_directory("a", "another", "home")
    assert life.sh("ls -d /home") == "/home\n"
    await life.want(IntentKind.DELETED)


async def test_a_pods_limit_follows_its_tier(life: Life) -> None:
    """Set when it is made, changed while it runs, and set again when somebody has changed it."""
    sizes = []
    for tier in ("dev.small", "dev.large"):
        await life.want(tier=tier)
        sizes.append(await life.size())
    await life.parts.docker.limit_subvolume("a", life.uuid(await life.reconcile()), 10**9)
    sizes.append(await life.size())
    await life.pass_over()
    sizes.append(await life.size())
    gb = [size.limit / 10**9 for size in sizes if size is not None and size.limit is not None]
    assert gb == [20, 80, 1, 80]
    assert all(size is not None and size.used < 10**6 for size in sizes), "the template's is not its own"
    await life.want(IntentKind.DELETED)
    for _ in range(3):
        await life.parts.docker.observe_all()
    shown = await life.parts.pool.run("test", "btrfs qgroup show /pool | grep -c ' 1/' || true")
    assert shown.strip() == "0", "the group of a pod that is gone goes too"


async def test_root_in_a_pod_makes_no_subvolumes(life: Life, helper_image: str) -> None:
    """Neither after an update nor after a loss; reflinks work."""
    made = await life.want(image_name=helper_image)
    assert made.record.state.phase is Phase.RUNNING, made
    for _ in ("made", "lost"):
        with pytest.raises(EngineFailedError, match="Operation not permitted"):
            life.sh("btrfs subvolume create /home/one")
        assert life.sh("ls /home") == ""
        life.sh("echo x > /opt/a; cp --reflink=always /opt/a /opt/b; cmp /opt/a /opt/b")
        life.engine.docker("rm", "-f", "pinacle-pod-a")
        await life.reconcile()
    await life.want(IntentKind.DELETED)


async def test_a_pod_is_made_with_few_commands_on_the_pool(life: Life) -> None:
    """The image's template is there by then. The number is exact."""
    await life.want()
    await life.want(IntentKind.DELETED)
    sent: list[str] = []
    run = life.parts.pool.run

    async def counted(what: str, script: str, *arguments: str, deadline_s: float | None = None) -> str:
        sent.append(what)
        return await run(what, script, *arguments, deadline_s=deadline_s)

    life.parts.pool.run = counted  # type: ignore[method-assign]
    await life.want()
    assert sent == ["pod: look", "pod: begin", "pod: finish", "pod: look"]
    sent.clear()
    await life.want(IntentKind.DELETED)
    assert sent == ["pod: look", "pool: list", "pod: remove"]
