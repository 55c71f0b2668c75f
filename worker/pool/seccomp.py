"""The seccomp profile for pods on a pool: Docker's own, without what btrfs lets anybody do.

Root in a pod could otherwise make subvolumes, which no snapshot of the pod holds, no group of it counts, and
no removal of its files reaches. `python -m worker.pool.seccomp default.json` prints it, made of Docker's own
profile, as moby has it in `profiles/seccomp`; `profile.json` was made of that of Engine 26.1.
"""

import json
import sys
from collections.abc import Mapping
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from worker.errors import InvalidInputError

_IOCTL: Final = "ioctl"
_REQUEST: Final = 1
"""Which argument of `ioctl` says what is asked for."""
_TYPE_BITS: Final = range(8, 16)
"""Where a request names the driver that it is for, on all of Linux' architectures (`asm-generic/ioctl.h`)."""
_BTRFS: Final = 0x94
_REFLINKS: Final = (0x40049409, 0x4020940D, 0xC0189436)
"""FICLONE, FICLONERANGE and FIDEDUPERANGE, which share data within a filesystem, and began as btrfs' own."""
_REFLINKS_ELSEWHERE: Final = (0x80049409, 0x8020940D)
"""The first two on mips, powerpc and sparc, whose bits for the direction differ; the third is the same."""


def without_btrfs(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile without btrfs' requests, except for reflinks.

    Such a request is one whose bits for the driver are 0x94. All others are allowed, bit by bit, as seccomp
    knows no "unequal" under a mask. Raises InvalidInputError if the profile has no `ioctl`.
    """
    narrowed = deepcopy(dict(profile))
    plain = [rule for rule in narrowed.get("syscalls", ()) if _is_plain(rule)]
    if not plain:
        raise InvalidInputError(
            "profile: it allows no `ioctl`; allowed: Docker's own, profiles/seccomp/default.json of moby"
        )
    for rule in plain:
        rule["names"] = [name for name in rule["names"] if name != _IOCTL]
    others = [_rule("SCMP_CMP_MASKED_EQ", 1 << bit, ~(_BTRFS << 8) & (1 << bit)) for bit in _TYPE_BITS]
    reflinks = [_rule("SCMP_CMP_EQ", request, 0) for request in (*_REFLINKS, *_REFLINKS_ELSEWHERE)]
    narrowed["syscalls"] = [*narrowed["syscalls"], *others, *reflinks]
    return narrowed


def profile() -> str:
    """Return the profile as the Engine takes it: `seccomp=` and this, in `SecurityOpt`."""
    return files("worker.pool").joinpath("profile.json").read_text()


def _is_plain(rule: Mapping[str, Any]) -> bool:
    return _IOCTL in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("args")


def _rule(compare: str, value: int, other: int) -> dict[str, Any]:
    condition = {"index": _REQUEST, "value": value, "valueTwo": other, "op": compare}
    return {"names": [_IOCTL], "action": "SCMP_ACT_ALLOW", "args": [condition]}


if __name__ == "__main__":
    made = without_btrfs(json.loads(Path(sys.argv[1]).read_text()))
    sys.stdout.write(f"{json.dumps(made, separators=(',', ':'))}\n")
