"""What btrfs prints is read as it was printed by btrfs-progs 6.14."""

import pytest

from worker.pool.errors import PoolCommandError
from worker.pool.subvolumes import Subvolume, parse_shown

SHOWN = (
    "pods/a\n"
    "\tName: \t\t\ta\n"
    "\tUUID: \t\t\t548e75b4-360a-0844-b093-6e4029f7b608\n"
    "\tParent UUID: \t\t-\n"
    "\tReceived UUID: \t\t-\n"
    "\tCreation time: \t\t2026-11-27 22:02:30 +0000\n"
    "\tSubvolume ID: \t\t256\n"
    "\tFlags: \t\t\t-\n"
    "\tSnapshot(s):\n"
    "\tQuota group:\t\t0/256\n"
    "\t  Usage exclusive:\t0.00B\n"
)
UUID = "548e75b4-360a-0844-b093-6e4029f7b608"


def test_a_subvolume_is_read() -> None:
    assert parse_shown(SHOWN) == Subvolume(uuid=UUID, read_only=False)


def test_one_that_cannot_be_written_is_known_by_its_flag() -> None:
    assert parse_shown(SHOWN.replace("Flags: \t\t\t-", "Flags: \t\t\treadonly")) == Subvolume(
        uuid=UUID, read_only=True
    )


def test_none_is_told_from_one() -> None:
    assert parse_shown("absent\n") is None


@pytest.mark.parametrize("printed", ["", SHOWN.replace("Flags", "Flag"), SHOWN.replace("\tUUID", "\tU")])
def test_what_cannot_be_read_is_neither(printed: str) -> None:
    with pytest.raises(PoolCommandError, match="printed no"):
        parse_shown(printed)
