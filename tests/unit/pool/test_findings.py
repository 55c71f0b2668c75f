"""What may be a pool, and what is said of what may not."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from worker.pool import findings
from worker.pool.errors import PoolMissingError, PoolReadOnlyError, PoolUnfitError
from worker.pool.findings import ENCRYPTED, Encrypted, Found, Quotas

UUID = "7912116b-f097-49b3-b582-a01f247b4748"
GOOD = Found(
    filesystem="btrfs",
    is_subvolume=True,
    writable=True,
    uuid=UUID,
    size_bytes=2**31,
    free_bytes=2**30,
    quotas=Quotas.SIMPLE,
    can_count=True,
    has_rights=True,
    encrypted=Encrypted.YES,
)
PRINTED = f"""type btrfs
inode 256
blocks 4096 524288 262144
options rw,relatime,rw,discard=async,subvolid=5,subvol=/
uuid {UUID}
quotas squota
simple yes
rights yes
encrypted yes
"""
ABSENT = replace(GOOD, filesystem="ext2/ext3", uuid="", is_subvolume=False, has_rights=False)
OTHER = replace(GOOD, uuid="0" * 8)


def test_what_the_helper_printed_is_read() -> None:
    assert findings.parse(PRINTED) == GOOD


@pytest.mark.parametrize(
    ("line", "other", "changed"),
    [
        ("inode 256", "inode 257", replace(GOOD, is_subvolume=False)),
        ("options rw,relatime,rw", "options ro,relatime,rw", replace(GOOD, writable=False)),
        ("options rw,relatime,rw", "options rw,relatime,ro", replace(GOOD, writable=False)),
        ("quotas squota", "quotas qgroup", replace(GOOD, quotas=Quotas.FULL)),
        ("quotas squota", "quotas none", replace(GOOD, quotas=Quotas.NONE)),
        ("simple yes\n", "", replace(GOOD, can_count=False)),
        ("rights yes\n", "", replace(GOOD, has_rights=False)),
        (f"uuid {UUID}", "uuid ", replace(GOOD, uuid="")),
        ("encrypted yes\n", "", replace(GOOD, encrypted=Encrypted.UNKNOWN)),
        ("encrypted yes", "encrypted yes yes", GOOD),
        ("encrypted yes", "encrypted yes no", replace(GOOD, encrypted=Encrypted.NO)),
        ("encrypted yes", "encrypted unknown no", replace(GOOD, encrypted=Encrypted.NO)),
        ("encrypted yes", "encrypted yes unknown", replace(GOOD, encrypted=Encrypted.UNKNOWN)),
        ("discard=async", "compress=zstd:1", replace(GOOD, compression="zstd:1")),
        ("discard=async", "compress-force=lzo", replace(GOOD, compression="lzo")),
        ("discard=async", "compress=none", GOOD),
    ],
)
def test_each_line_counts(line: str, other: str, changed: Found) -> None:
    assert findings.parse(PRINTED.replace(line, other)) == changed


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("type btrfs\n", ""),
        ("inode 256", "inode ?"),
        ("blocks 4096 524288 262144", "blocks 1"),
        ("quotas squota", "quotas new"),
        ("options rw,", "option rw,"),
    ],
)
def test_what_cannot_be_read_is_no_pool(line: str, other: str) -> None:
    with pytest.raises(PoolUnfitError, match="cannot be read"):
        findings.parse(PRINTED.replace(line, other))


@pytest.mark.parametrize("uuid", [None, UUID])
@pytest.mark.parametrize("quotas", [Quotas.SIMPLE, Quotas.NONE])
def test_a_pool_is_accepted(uuid: str | None, quotas: Quotas) -> None:
    findings.check(replace(GOOD, quotas=quotas), "/srv/pool", uuid)


@pytest.mark.parametrize(
    ("found", "uuid", "error", "said"),
    [
        (ABSENT, UUID, PoolMissingError, "a directory on ext2/ext3, not the pool 7912116b"),
        (OTHER, UUID, PoolMissingError, "the filesystem 00000000, not the pool 7912116b"),
        (ABSENT, None, PoolUnfitError, "ext2/ext3, not btrfs"),
        (replace(GOOD, is_subvolume=False), None, PoolUnfitError, "where one is mounted"),
        (replace(GOOD, is_subvolume=False), UUID, PoolUnfitError, "where one is mounted"),
        (replace(GOOD, has_rights=False), None, PoolUnfitError, "`local` work there"),
        (replace(GOOD, uuid=""), None, PoolUnfitError, "`local` work there"),
        (replace(GOOD, can_count=False), None, PoolUnfitError, r"Linux 6\.7"),
        (replace(GOOD, quotas=Quotas.FULL), None, PoolUnfitError, "btrfs quota disable /srv/pool"),
        (replace(GOOD, writable=False), UUID, PoolReadOnlyError, "read-only"),
    ],
)
def test_what_is_no_pool_is_named(found: Found, uuid: str | None, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        findings.check(found, "/srv/pool", uuid)


DISKS = {
    "vda": (),
    "vda1": None,
    "dm-0": ("dm-crypt of vda1",),
    "dm-1": ("dm-0",),
    "dm-2": ("vda1",),
    "md0": ("dm-0", "vda1"),
    "loop0": (),
}
"""Block devices, and what each lies on: a partition has no such folder."""


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("vda", "no"),
        ("vda1", "no"),
        ("dm-0", "yes"),
        ("dm-1", "yes"),
        ("dm-2", "no"),
        ("md0", "yes no"),
        ("loop0", "unknown"),
        ("gone", "unknown"),
    ],
)
def test_what_is_encrypted(tmp_path: Path, device: str, words: str) -> None:
    """A volume of LVM on LUKS is; of a mirror that is half encrypted, half is; of a file nobody knows."""
    for name, below in DISKS.items():
        (tmp_path / name).mkdir()
        for each in below or ():
            (tmp_path / name / "slaves" / each).mkdir(parents=True)
        if name.startswith("dm-"):
            (tmp_path / name / "dm").mkdir()
            kind = "CRYPT-LUKS2-4f5b" if name == "dm-0" else "LVM-Jx2k"
            (tmp_path / name / "dm" / "uuid").write_text(kind + "\n")
        if name.startswith("loop"):
            (tmp_path / name / "loop").mkdir()
    script = ENCRYPTED.replace("/sys/class/block", str(tmp_path)) + f"encrypted {device}"
    done = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == words.split()
