"""The helper on a real Engine and a real btrfs: it never writes to another filesystem than the pool."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.pools import INSTALLATION, Parts
from worker.docker.helper.container import Helper
from worker.errors import EngineUnavailableError, ForeignObjectError, OutcomeUnknownError, PermanentError
from worker.local.pool_file import PoolFile
from worker.local.private_engine import PrivateEngine
from worker.pods.naming import LABEL_HELPER, LABEL_INSTALLATION
from worker.pool import findings
from worker.pool.errors import PoolFullError, PoolMissingError, PoolReadOnlyError, PoolUnfitError
from worker.pool.findings import Encrypted, Quotas

Make = Callable[..., Parts]
NAME = f"pinacle-helper-{INSTALLATION}"
TOUCH = 'touch "/pool/$1"'


async def test_a_pool_is_found_prepared_and_counted(make: Make, pool_file: PoolFile) -> None:
    found = await make().pool.open(None)
    assert found.quotas is Quotas.SIMPLE
    assert found.writable
    assert (found.encrypted, found.compression) == (Encrypted.UNKNOWN, None)
    assert 0 < found.free_bytes <= found.size_bytes == 2**30
    assert {path.name for path in pool_file.seen.iterdir()} == {"pods", "templates"}
    assert await make().pool.open(found.uuid) == found


async def test_the_helper_may_do_no_more_than_it_needs(make: Make, engine: PrivateEngine) -> None:
    await make().pool.open(None)
    seen = json.loads(engine.docker("inspect", NAME))[0]
    assert seen["HostConfig"]["CapDrop"] == ["ALL"]
    assert seen["HostConfig"]["CapAdd"] in (["SYS_ADMIN"], ["CAP_SYS_ADMIN"])
    assert seen["HostConfig"]["Privileged"] is False
    assert seen["HostConfig"]["ReadonlyRootfs"] is True
    assert seen["HostConfig"]["NetworkMode"] == "none"
    assert seen["Config"]["Labels"]["dev.pinacle.installation"] == INSTALLATION
    assert "dev.pinacle.pod" not in seen["Config"]["Labels"]


async def test_a_helper_is_found_again_by_the_next_worker(make: Make, engine: PrivateEngine) -> None:
    found = await make().pool.open(None)
    first = engine.docker("inspect", "-f", "{{.Id}}", NAME)
    await make().pool.open(found.uuid)
    assert engine.docker("inspect", "-f", "{{.Id}}", NAME) == first


@pytest.mark.parametrize("damage", [("rm", "-f"), ("kill",)])
async def test_a_helper_that_is_gone_is_made_again(
    make: Make, engine: PrivateEngine, pool_file: PoolFile, damage: tuple[str, ...]
) -> None:
    pool = make().pool
    await pool.open(None)
    engine.docker(*damage, NAME)
    await pool.run("test", TOUCH, "note")
    assert (pool_file.seen / "note").exists()


async def test_a_helper_that_somebody_paused_is_made_again(
    make: Make, engine: PrivateEngine, pool_file: PoolFile
) -> None:
    """By the next process at once; by one whose shells hang in it after a command that did not end."""
    found = await make().pool.open(None)
    engine.docker("pause", NAME)
    pool = make().pool
    await pool.open(found.uuid)
    engine.docker("pause", NAME)
    with pytest.raises(OutcomeUnknownError):
        await pool.run("test", TOUCH, "note", deadline_s=1)
    await pool.run("test", TOUCH, "note")
    assert (pool_file.seen / "note").exists()


async def test_a_container_of_that_name_that_is_not_ours_is_left_alone(
    make: Make, engine: PrivateEngine, helper_image: str
) -> None:
    engine.docker("run", "-d", "--name", NAME, helper_image, "sleep", "1000")
    try:
        with pytest.raises(ForeignObjectError, match="not ours"):
            await make().pool.open(None)
        await make().helper.remove()
        assert engine.docker("inspect", "-f", "{{.State.Running}}", NAME).strip() == "true"
    finally:
        engine.docker("rm", "-f", NAME)


async def test_nothing_is_written_below_the_mount_point(make: Make, pool_file: PoolFile) -> None:
    parts = make()
    found = await parts.pool.open(None)
    pool_file.unmount()
    await parts.helper.remove()
    with pytest.raises(PoolMissingError, match="Nothing was made"):
        await parts.pool.run("test", TOUCH, "note")
    for known in (found.uuid, None):
        with pytest.raises((PoolMissingError, PoolUnfitError), match=r"ext2/ext3|not btrfs"):
            await make().pool.open(known)
    assert list(pool_file.seen.iterdir()) == []


async def test_a_helper_older_than_the_mount_is_made_again(make: Make, pool_file: PoolFile) -> None:
    parts = make()
    found = await parts.pool.open(None)
    pool_file.unmount()
    await parts.helper.remove()
    await parts.helper.run(["true"])
    pool_file.mount()
    await parts.pool.run("test", TOUCH, "note")
    assert (pool_file.seen / "note").exists()
    assert await parts.pool.confirm() == found


async def test_a_helper_that_sees_what_was_unmounted_is_removed(
    make: Make, engine: PrivateEngine, pool_file: PoolFile
) -> None:
    parts = make()
    await parts.pool.open(None)
    pool_file.unmount()
    with pytest.raises(PoolMissingError, match="mount that"):
        await parts.pool.confirm()
    assert engine.docker("ps", "-aq", "--filter", f"name={NAME}") == ""


async def test_another_filesystem_is_not_the_pool(
    make: Make, engine: PrivateEngine, helper_image: str, pool_file: PoolFile
) -> None:
    parts = make()
    await parts.pool.open(None)
    other = PoolFile(engine, helper_image, f"{pool_file.place.parent.name}-other")
    other.place = pool_file.place
    pool_file.unmount()
    other.mount()
    try:
        with pytest.raises(PoolMissingError, match="not the pool"):
            await parts.pool.confirm()
        with pytest.raises(PoolMissingError, match="not the pool"):
            await parts.pool.run("test", TOUCH, "note")
        assert list(pool_file.seen.iterdir()) == []
    finally:
        other.unmount()


async def test_a_pool_that_became_read_only_is_named(make: Make, pool_file: PoolFile) -> None:
    parts = make()
    found = await parts.pool.open(None)
    pool_file.make_read_only()
    with pytest.raises(PoolReadOnlyError, match="read-only"):
        await parts.pool.confirm()
    with pytest.raises(PoolReadOnlyError, match="Read-only"):
        await parts.pool.run("test", TOUCH, "note")
    with pytest.raises(PoolReadOnlyError, match="read-only"):
        await make().pool.open(found.uuid)


async def test_a_full_pool_is_named(make: Make) -> None:
    pool = make().pool
    await pool.open(None)
    with pytest.raises(PoolFullError, match="No space left"):
        await pool.run("test", "dd if=/dev/zero of=/pool/all bs=1M count=2000")


async def test_a_directory_within_a_pool_is_none(make: Make, pool_file: PoolFile) -> None:
    (pool_file.seen / "sub").mkdir()
    with pytest.raises(PoolUnfitError, match="a directory within"):
        await make(place=str(pool_file.place / "sub")).pool.open(None)
    assert list((pool_file.seen / "sub").iterdir()) == []


async def test_full_qgroups_are_refused(make: Make, pool_file: PoolFile) -> None:
    await make().helper.run(["btrfs", "quota", "enable", "/pool"])
    with pytest.raises(PoolUnfitError, match="full qgroups"):
        await make().pool.open(None)
    assert list(pool_file.seen.iterdir()) == []


async def test_a_path_that_the_host_lacks_is_named_and_not_made(make: Make, pool_file: PoolFile) -> None:
    absent = pool_file.place.parent / "absent"
    with pytest.raises(PoolMissingError, match="no directory"):
        await make(place=str(absent)).pool.open(None)
    assert not (pool_file.seen.parent / "absent").exists()


async def test_a_missing_image_is_named_with_how_to_get_one(make: Make) -> None:
    with pytest.raises(PermanentError, match="btrfs-progs"):
        await make(image="pinacle-none").pool.open(None)


async def test_an_image_without_the_tools_is_named(make: Make, busybox: str) -> None:
    with pytest.raises(PermanentError, match="lacks a program"):
        await make(image=busybox).pool.open(None)


async def test_without_the_right_to_change_filesystems_local_is_named(make: Make) -> None:
    ended = await make().helper.run_afresh(["sh", "-c", findings.LOOK], capabilities=("DAC_OVERRIDE",))
    with pytest.raises(PoolUnfitError, match="`local` work there"):
        findings.check(findings.parse(ended.stdout.decode()), "/srv/pool", None)


async def test_a_command_has_a_deadline(make: Make) -> None:
    pool = make().pool
    await pool.open(None)
    with pytest.raises(OutcomeUnknownError, match="within 1 s"):
        await pool.run("test", "sleep 30", deadline_s=1)


async def until_refused(helper: Helper) -> None:
    while True:
        await helper.run(["true"], deadline_s=0.5)


async def test_whoever_finds_all_shells_at_work_waits_no_longer_than_a_command_may_take(make: Make) -> None:
    helper = make().helper
    await helper.run(["true"])
    busy = [asyncio.create_task(helper.run(["sleep", "6"], deadline_s=20)) for _ in range(8)]
    with pytest.raises(EngineUnavailableError, match="8 commands are under way"):
        await until_refused(helper)
    assert (await helper.run(["echo", "later"], deadline_s=20)).stdout == b"later\n"
    assert [ended.exit_code for ended in await asyncio.gather(*busy)] == [0] * 8


def test_make_helper_says_what_to_set(engine: PrivateEngine, helper_image: str) -> None:
    command = [sys.executable, "-m", "worker.local.base_images", "--helper"]
    environment = {**os.environ, "DOCKER_HOST": engine.url}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == f"PINACLE_HELPER_IMAGE={helper_image}\n"


async def test_what_a_killed_process_left_is_swept_and_nothing_that_may_be_in_use(
    make: Make, engine: PrivateEngine, helper_image: str
) -> None:
    """One that has not started yet may be another process's, which starts it in the next moment."""
    labels = ("--label", f"{LABEL_INSTALLATION}={INSTALLATION}", "--label", f"{LABEL_HELPER}=x")
    of = {"ended": ("run", "true"), "made": ("create", "true"), "paused": ("run -d", "sleep 1000")}
    for name, (how, command) in of.items():
        engine.docker(*how.split(), "--name", f"swept-{name}", *labels, helper_image, *command.split())
    engine.docker("pause", "swept-paused")
    await make().helper.sweep()
    left = engine.docker("ps", "-a", "--filter", "name=swept-", "--format", "{{.Names}}").split()
    engine.docker("rm", *left)
    assert left == ["swept-made"]
