"""Which requests the profile lets through: by reading its rules as the kernel does."""

import json
from typing import Any, Final

import pytest

from worker.errors import InvalidInputError
from worker.pool.seccomp import profile, without_btrfs

NONE, WRITE, READ, BOTH = 0, 1, 2, 3
BTRFS: Final = 0x94
SUBVOL_CREATE: Final = 14
REFLINKS: Final = ((WRITE, BTRFS, 9, 4), (WRITE, BTRFS, 13, 32), (BOTH, BTRFS, 54, 24))
"""FICLONE, FICLONERANGE, FIDEDUPERANGE."""
ELSEWHERE: Final = {0x80049409, 0x8020940D}
"""The first two, as mips, powerpc and sparc have them."""


def request(direction: int, driver: int, number: int, size: int) -> int:
    """Return a request as x86-64 and arm64 have it."""
    return direction << 30 | size << 16 | driver << 8 | number


def is_allowed(rules: list[dict[str, Any]], asked: int) -> bool:
    """Whether `ioctl` may be called with a request, as the kernel takes the rules."""

    def fits(condition: dict[str, Any]) -> bool:
        if condition["op"] == "SCMP_CMP_MASKED_EQ":
            return bool(asked & condition["value"] == condition["valueTwo"])
        return condition["op"] == "SCMP_CMP_EQ" and bool(asked == condition["value"])

    allowing = (rule for rule in rules if "ioctl" in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW")
    return any(all(map(fits, rule.get("args") or ())) for rule in allowing)


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(profile())["syscalls"]
    return found


@pytest.mark.parametrize("direction", [NONE, WRITE, READ, BOTH])
def test_of_btrfs_own_requests_only_reflinks_are_left(rules: list[dict[str, Any]], direction: int) -> None:
    """Also with bits that the kernel ignores. Here btrfs knows no request with the numbers of elsewhere."""
    reflinks = {request(*each) for each in REFLINKS} | ELSEWHERE
    for number in range(256):
        for size in (0, 4, 24, 32, 4096):
            asked = request(direction, BTRFS, number, size)
            assert is_allowed(rules, asked) == (asked in reflinks), hex(asked)
            assert not is_allowed(rules, asked | 1 << 32), hex(asked)


def test_all_other_drivers_keep_theirs(rules: list[dict[str, Any]]) -> None:
    for driver in set(range(256)) - {BTRFS}:
        assert is_allowed(rules, request(WRITE, driver, SUBVOL_CREATE, 4096)), hex(driver)


def test_nothing_else_of_dockers_profile_changes() -> None:
    """The rest of a rule stays, and so does a rule that forbids."""
    ours = {"names": ["read", "ioctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}}
    forbids = {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 1}]}
    before = {"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"a": 1}], "syscalls": [ours, forbids]}
    after = without_btrfs(before)
    assert (after["defaultAction"], after["archMap"]) == ("SCMP_ACT_ERRNO", [{"a": 1}])
    assert after["syscalls"][:2] == [{**ours, "names": ["read"]}, forbids]
    assert ours["names"] == ["read", "ioctl"]


def test_a_profile_that_cannot_be_narrowed_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="allows no `ioctl`"):
        without_btrfs({"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]})


def test_the_rest_is_what_docker_allows(rules: list[dict[str, Any]]) -> None:
    """A profile that lost most of its calls would still keep subvolumes away."""
    allowed = {name for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {"read", "clone3", "openat2", "chroot", "setxattr", "futex_waitv"} <= allowed
    assert "keyctl" not in allowed
    assert json.loads(profile())["defaultAction"] == "SCMP_ACT_ERRNO"
