"""Pods on a real btrfs: whole, limited, and gone when they are removed; never another's."""

import asyncio
import os

import pytest

from tests.support.pool_rig import LIMIT, MB, VOLUMES, Rig, fill
from worker.errors import ForeignObjectError, UpdateRefusedError
from worker.pool.errors import PoolMissingError
from worker.pool.groups import reserve
from worker.pool.pods import PodSubvolume, begun_name


async def test_a_pod_has_what_its_template_has_and_a_limit(rig: Rig) -> None:
    made = await rig.make("a")
    assert {path.name for path in rig.at("a").iterdir()} == set(VOLUMES)
    assert (rig.at("a") / "opt/readme").exists()
    assert made.limit == LIMIT
    assert made.used < MB, "what it shares with its template is not its own"
    assert (await rig.pods.list()).begun == {}


async def test_until_its_uuid_is_noted_it_has_no_pods_name(rig: Rig) -> None:
    """Whoever cuts a creation off leaves what is found by its incarnation, and can be rolled back."""
    uuid = await rig.begin("a", "1")
    listed = await rig.pods.list()
    assert listed.pods == {}
    (begun,) = listed.begun.values()
    assert (begun.uuid, begun.limit) == (uuid, LIMIT)
    await rig.pods.roll_back("a", "1", begun)
    listed = await rig.pods.list()
    assert (listed.pods, listed.begun) == ({}, {})
    assert await rig.pods.sweep(listed) == frozenset()
    assert (await rig.pods.list()).empty_groups == frozenset()


async def test_each_step_may_be_done_twice(rig: Rig) -> None:
    first = await rig.begin("a", "1")
    uuid = await rig.begin("a", "1")
    assert uuid != first
    await rig.pods.finish("a", "1", uuid)
    (rig.at("a") / "home/mine").write_text("mine")
    await rig.pods.finish("a", "1", uuid)
    made = await rig.of("a")
    assert made.uuid == uuid
    assert (rig.at("a") / "home/mine").read_text() == "mine"
    await rig.pods.remove("a", made)
    await rig.pods.remove("a", made)
    assert (await rig.pods.list()).pods == {}


async def test_another_subvolume_of_its_name_is_left_alone(rig: Rig) -> None:
    theirs = await rig.make("a")
    (rig.at("a") / "home/theirs").write_text("theirs")
    uuid = await rig.begin("a", "2")
    with pytest.raises(ForeignObjectError, match="another subvolume"):
        await rig.pods.finish("a", "2", uuid)
    with pytest.raises(ForeignObjectError, match="another subvolume"):
        await rig.pods.remove("a", PodSubvolume(uuid=uuid, group=None, number=1))
    assert (rig.at("a") / "home/theirs").read_text() == "theirs"
    assert (await rig.of("a")).uuid == theirs.uuid


@pytest.mark.parametrize("what", ["directory", "link"])
async def test_what_is_no_subvolume_is_neither_taken_nor_removed(rig: Rig, what: str) -> None:
    await rig.make("b")
    uuid = await rig.begin("a", "1")
    if what == "directory":
        rig.at("a").mkdir()
    else:
        rig.at("a").symlink_to("b")
    with pytest.raises(ForeignObjectError):
        await rig.pods.finish("a", "1", uuid)
    with pytest.raises(ForeignObjectError):
        await rig.pods.remove("a", PodSubvolume(uuid=uuid, group=None, number=1))
    assert rig.at("a").is_dir()
    assert rig.at("b").is_dir()


async def test_nothing_is_made_in_the_place_of_one_that_is_gone(rig: Rig) -> None:
    made = await rig.make("a")
    await rig.run('btrfs subvolume delete --commit-after "/pool/pods/a"')
    with pytest.raises(PoolMissingError, match="Nothing is made in"):
        await rig.pods.finish("a", "1", made.uuid)
    assert not rig.at("a").exists()


async def test_a_pod_ends_at_its_limit_and_others_do_not(rig: Rig) -> None:
    await rig.make("a")
    await rig.make("b")
    written = await asyncio.to_thread(fill, rig.at("a") / "home/big")
    written += await asyncio.to_thread(fill, rig.at("a") / "opt/big")
    assert LIMIT - 10 * MB < written <= LIMIT
    assert (await rig.of("a")).used <= LIMIT
    assert await asyncio.to_thread(fill, rig.at("b") / "home/big", 20 * MB) == 20 * MB


async def test_a_full_pod_is_emptied_by_its_owner(rig: Rig) -> None:
    await rig.make("a")
    await asyncio.to_thread(fill, rig.at("a") / "home/big")
    (rig.at("a") / "home/big").unlink()
    await rig.pods.list()
    assert await asyncio.to_thread(fill, rig.at("a") / "home/again", 20 * MB) == 20 * MB


async def test_a_full_pod_gets_a_larger_limit_and_no_smaller_one(rig: Rig) -> None:
    await rig.make("a")
    await asyncio.to_thread(fill, rig.at("a") / "home/big")
    await rig.pods.set_limit("a", await rig.of("a"), 2 * LIMIT)
    assert await asyncio.to_thread(fill, rig.at("a") / "home/more", 20 * MB) == 20 * MB
    with pytest.raises(UpdateRefusedError, match="more than the 40000000 bytes"):
        await rig.pods.set_limit("a", await rig.of("a"), LIMIT)
    assert (await rig.of("a")).limit == 2 * LIMIT
    await rig.pods.set_limit("a", await rig.of("a"), None)
    assert (await rig.of("a")).limit is None


async def test_a_full_pod_is_removed_with_all_that_its_owner_made_in_it(rig: Rig) -> None:
    """Also subvolumes within subvolumes, which hold what no removal of files would reach."""
    made = await rig.make("a")
    await rig.make("b")
    await rig.run(
        "cd /pool/pods/a/home; btrfs subvolume create one; btrfs subvolume create one/two; > one/two/file"
    )
    await asyncio.to_thread(fill, rig.at("a") / "home/big")
    await rig.pods.remove("a", made)
    listed = await rig.pods.list()
    assert set(listed.pods) == {"b"}
    await rig.run("btrfs subvolume sync /pool")
    await rig.pods.sweep(await rig.pods.list())
    assert (await rig.pods.list()).empty_groups == frozenset()
    assert (rig.at("b") / "opt/readme").exists()


async def test_all_pods_together_end_before_the_filesystem_does(rig: Rig) -> None:
    """It then still takes what we write: without that no full pod could be enlarged, or removed."""
    for pod_id in ("a", "b"):
        await rig.make(pod_id, limit=None)
    for pod_id in ("a", "b"):
        await asyncio.to_thread(fill, rig.at(pod_id) / "home/big", 2000 * MB)
    await rig.pods.remove("a", await rig.of("a"))
    await rig.run("btrfs subvolume sync /pool")
    assert await asyncio.to_thread(fill, rig.at("b") / "home/more", 20 * MB) == 20 * MB


@pytest.mark.parametrize("destroyed", [False, True])
async def test_a_pod_that_lost_its_group_gets_one_again(rig: Rig, destroyed: bool) -> None:
    """Until then nothing limits it, but what it uses is known; then what it had counts too."""
    made = await rig.make("a")
    own = f"0/{made.number}"
    await asyncio.to_thread(fill, rig.at("a") / "home/big", 15 * MB)
    await rig.run('btrfs qgroup remove --no-rescan "$1" "$2" /pool', own, str(made.group))
    if destroyed:
        await rig.run('btrfs qgroup destroy "$1" /pool', str(made.group))
    found = await rig.of("a")
    assert (found.group, found.limit) == (None, None)
    assert found.used >= 15 * MB
    await rig.pods.set_limit("a", found, LIMIT)
    again = await rig.of("a")
    assert (again.group, again.limit) == (made.group, LIMIT)
    assert again.used >= 15 * MB
    assert await asyncio.to_thread(fill, rig.at("a") / "home/more") <= LIMIT - 15 * MB
    assert await rig.pods.sweep(await rig.pods.list()) == frozenset()


async def test_a_name_of_a_subvolume_in_a_pod_cannot_forge_the_list(rig: Rig) -> None:
    await rig.make("a")
    await rig.make("b")
    before = (await rig.pods.list()).pods
    forged = f"x\nID 9 gen 1 top level 5 uuid {'0' * 8}-0000-0000-0000-{'0' * 12} path pods_b"
    await rig.run('cd "/pool/pods/a/home"; btrfs subvolume create "$1"', forged)
    after = (await rig.pods.list()).pods
    assert {name: pod.uuid for name, pod in after.items()} == {name: pod.uuid for name, pod in before.items()}


def test_what_was_begun_has_a_name_that_no_pod_has() -> None:
    assert begun_name("a", "1") == ".a.1"


async def test_without_its_images_template_nothing_is_begun(rig: Rig) -> None:
    """One that is being filled has another name, and one that can be written is none."""
    assert await rig.pods.begin("a", "1", "strange", limit=LIMIT) is None
    await rig.run("btrfs subvolume create /pool/templates/strange")
    assert await rig.pods.begin("a", "1", "strange", limit=LIMIT) is None
    listed = await rig.pods.list()
    assert (listed.pods, listed.begun) == ({}, {})


async def test_what_pods_leave_free_is_not_told_as_room(rig: Rig) -> None:
    looked = await rig.pods.look("a")
    seen = os.statvfs(rig.file.seen)
    free, size = seen.f_bavail * seen.f_frsize, seen.f_blocks * seen.f_frsize
    assert reserve(size) > 50 * MB
    assert abs(looked.free_bytes - (free - reserve(size))) < 10 * MB
    assert looked.uuids == {}
