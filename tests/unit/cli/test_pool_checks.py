"""What the doctor says of a pool."""

from dataclasses import replace

from tests.unit.pool.test_findings import GOOD
from worker.cli.doctor.checks import Status
from worker.cli.doctor.pool_checks import pool
from worker.pool.errors import PoolUnfitError
from worker.pool.findings import Encrypted


def test_a_host_without_a_pool_is_well() -> None:
    found = pool(None, None)
    assert found.status is Status.OK
    assert "Docker's own volumes" in found.detail


def test_what_is_there_is_told() -> None:
    found = pool("/srv/pool", GOOD)
    assert found.status is Status.OK
    assert found.detail == f"1.1 of 2.1 GB free at /srv/pool, {GOOD.uuid}, encrypted: yes, compression: none"
    packed = replace(GOOD, encrypted=Encrypted.UNKNOWN, compression="zstd:1")
    assert pool("/srv/pool", packed).detail.endswith("encrypted: unknown, compression: zstd:1")


def test_little_room_is_a_warning() -> None:
    found = pool("/srv/pool", replace(GOOD, free_bytes=GOOD.size_bytes // 11))
    assert found.status is Status.WARN
    assert found.remedy is not None


def test_what_cannot_be_a_pool_is_said() -> None:
    found = pool("/srv/pool", PoolUnfitError("at /srv/pool is ext4, not btrfs"))
    assert (found.status, found.detail) == (Status.FAIL, "at /srv/pool is ext4, not btrfs")
