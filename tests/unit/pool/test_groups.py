"""What btrfs prints of groups is read as btrfs-progs 6.14 prints it, and put beside the subvolumes."""

import pytest

from worker.pool.errors import PoolCommandError
from worker.pool.groups import Group, limit_word, most_bytes, parse_groups
from worker.pool.pods import PodSubvolume, begun_name, listing
from worker.pool.subvolumes import parse_listed

PRINTED = (
    '{"__header":{"version":"1"},"qgroup-show":['
    '{"qgroupid":"0/5","referenced":16384,"max_referenced":"none","exclusive":16384,"max_exclusive":"none",'
    '"path":"","parents":[],"children":[]},'
    '{"qgroupid":"0/257","referenced":4096,"max_referenced":"none","exclusive":4096,"max_exclusive":"none",'
    '"path":"pods/a","parents":["1/257"],"children":[]},'
    '{"qgroupid":"0/300","referenced":1,"max_referenced":"none","exclusive":1,"max_exclusive":"none",'
    '"path":"pods/b","parents":["1/258"],"children":[]},'
    '{"qgroupid":"1/257","referenced":8192,"max_referenced":52428800,"exclusive":8192,"max_exclusive":"none",'
    '"path":"","parents":["2/0"],"children":["0/257"]},'
    '{"qgroupid":"1/258","referenced":7,"max_referenced":"none","exclusive":7,"max_exclusive":"none",'
    '"path":"","parents":["2/0"],"children":["0/300"]},'
    '{"qgroupid":"1/99","referenced":0,"max_referenced":"none","exclusive":0,"max_exclusive":"none",'
    '"path":"","parents":["2/0"],"children":[]}]}'
)
UUID = "db1bc8fb-e1ba-a441-a030-c4a33d470368"
LISTED = (
    "ID 256 gen 12 top level 5 uuid 5e321309-c407-4f43-86a9-067fbb06bf20 path templates/t\n"
    f"ID 257 gen 26 top level 5 uuid {UUID} path pods/a\n"
    f"ID 300 gen 26 top level 5 uuid {UUID[::-1]} path pods/b\n"
    f"ID 301 gen 26 top level 5 uuid {UUID} path pods/.c.1234\n"
)


def test_a_pod_has_the_limit_and_the_use_of_its_group() -> None:
    """That of the subvolume that it began with, which may be another one than it has now."""
    found = listing(parse_groups(PRINTED), parse_listed(LISTED))
    assert found.pods == {
        "a": PodSubvolume(uuid=UUID, group="1/257", number=257, used=8192, limit=52428800),
        "b": PodSubvolume(uuid=UUID[::-1], group="1/258", number=300, used=7, limit=None),
    }


def test_what_was_begun_is_no_pod_yet() -> None:
    found = listing(parse_groups(PRINTED), parse_listed(LISTED))
    assert found.begun == {begun_name("c", "1234"): PodSubvolume(uuid=UUID, group=None, number=301)}


def test_a_group_without_members_is_left_over() -> None:
    """But not the one above all others, however empty the pool is."""
    alone = {"2/0": Group(used=0, limit=1, parents=(), members=())}
    assert listing(parse_groups(PRINTED), {}).empty_groups == {"1/99"}
    assert listing(alone, {}).empty_groups == set()


@pytest.mark.parametrize("printed", ["", "ERROR", "[]", '{"qgroup-show":[{}]}', PRINTED[:-10]])
def test_what_cannot_be_read_is_not_taken_for_nothing(printed: str) -> None:
    with pytest.raises(PoolCommandError, match="qgroup show"):
        parse_groups(printed)


@pytest.mark.parametrize("line", ["ERROR: can't list", LISTED.splitlines()[0].replace("uuid", "id"), "ID 1"])
def test_a_line_that_cannot_be_read_is_not_left_out(line: str) -> None:
    with pytest.raises(PoolCommandError, match="subvolume list"):
        parse_listed(f"{LISTED}{line}\n")


def test_a_part_of_the_filesystem_is_for_nobody() -> None:
    """A twentieth, and no more than 8 GiB."""
    assert most_bytes(900, 100) == most_bytes(0, 1000) == 950
    assert most_bytes(2**43, 0) == 2**43 - 2**33
    assert (limit_word(None), limit_word(5)) == ("none", "5")
