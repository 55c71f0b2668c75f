"""An owner who is root in a pod on a pool reads, writes, charges and holds up nothing of a neighbour's."""

import os
import re
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from tests.support.stack import HELPER, Stack
from worker.local.pool_file import PoolFile
from worker.local.private_engine import EngineFailedError
from worker.local.waiting import wait_until

SPEC: Final[dict[str, Any]] = {
    # It has btrfs' own tools.
    "image": HELPER,
    "command": ["sh", "-c", "trap exit TERM; sleep infinity & wait"],
    "stop_timeout_s": 1,
}
_LINE: Final = "a neighbour's line"
TRIES: Final = (
    "btrfs subvolume create /home/one",
    "btrfs subvolume create -i 2/0 /home/one",
    "btrfs subvolume list /home",
    "btrfs subvolume set-default 5 /home",
    "btrfs property set -t subvol /home ro true",
    "btrfs qgroup show /home",
    "btrfs qgroup create 1/4000 /home",
    "btrfs qgroup assign 0/256 1/4000 /home",
    "btrfs qgroup limit none 2/0 /home",
    "btrfs qgroup limit 1M 1/257 /home",
    "btrfs qgroup destroy 1/257 /home",
    "btrfs quota disable /home",
    "btrfs inspect-internal subvolid-resolve 257 /home",
    "btrfs inspect-internal logical-resolve 13631488 /home",
    "btrfs filesystem resize 1:-100M /home",
    "btrfs filesystem sync /home",
    "btrfs balance start --full-balance /home",
    "btrfs device remove 1 /home",
    "btrfs send /home > /dev/null",
    "mount -t btrfs -o subvolid=5 /dev/loop0 /mnt",
    "mount --bind / /mnt",
)
_LEADS_OUT: Final = """
ln -s ../../beside/home/secret /home/up
ln -s /proc/1/root/home/secret /home/host
ln -s / /home/root
mkdir -p /own && ln -s ../../beside /own/beside && ln -s /home/secret /own/secret
rm -rf /srv/* && ln -s ../../../beside/home /srv/beside
! ln /home/mine /opt/mine 2> /dev/null
"""
_COUNT: Final = "find /home /own /srv | tr -cd '\\n' | wc -c"
_SET_FLAGS: Final = 0x40086602
_IMMUTABLE: Final = 0x10
_APPEND_ONLY: Final = 0x20
_NOT_COPIED: Final = 0x00800000


@pytest.fixture
def hostile(stack: Stack, pool: PoolFile) -> tuple[Pod, Pod]:
    """A pod, and its neighbour with a line of its own."""
    assert pool.seen.is_mount()
    pods = Pod(stack.client, stack.engine, "hostile"), Pod(stack.client, stack.engine, "beside")
    for pod in pods:
        assert stack.client.call("create", pod.id, SPEC)["phase"] == "running"
    pods[1].sh(f'echo "{_LINE}" > /home/secret; sync')
    return pods


def refusal(pod: Pod, command: str) -> str:
    """Return what a command says that fails, nothing if it does not."""
    try:
        pod.sh(command)
    except EngineFailedError as error:
        return str(error).lower()
    return ""


def test_btrfs_own_words_are_refused_to_root_in_a_pod(pool: PoolFile, hostile: tuple[Pod, Pod]) -> None:
    pod, beside = hostile
    before = beside.call("get")["disk_limit_bytes"]
    for command in TRIES:
        assert re.search("not permitted|permission denied", refusal(pod, command)), command
    assert pod.sh("ls /home") == ""
    assert beside.sh("cat /home/secret; touch /home/more; ls /home") == f"{_LINE}\nmore\nsecret"
    assert beside.call("get")["disk_limit_bytes"] == before
    assert {path.name for path in (pool.seen / "pods").iterdir()} == {"hostile", "beside"}


def names() -> Iterator[bytes]:
    yield from (bytes([byte]) + b"x" for byte in range(1, 256) if byte != ord("/"))
    yield from (b"x" * 255, b"-rf", b" ", b"..x", b"a\nID 257 gen 1 top level 5", b"\xff\xfe")


def odd_files(folder: Path) -> None:
    """Make what a pod may have in its volume in ways that its image has no program for."""
    for number, name in enumerate(names()):
        path = os.fsencode(folder) + b"/" + name
        with open(path, "wb") as file:  # noqa: PTH123 - a name that is no text
            file.write(name)
        for space in ("user", "trusted"):
            os.setxattr(path, f"{space}.odd.{number}".encode(), os.urandom(200))
    deep = os.open(folder, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 200, dir_fd=deep)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = deeper
    os.close(deep)
    for kind, flags in (("fixed", _IMMUTABLE), ("grows", _APPEND_ONLY), ("flat", _NOT_COPIED)):
        (folder / kind).mkdir()
        opened = os.open(folder / kind, os.O_RDONLY)
        if flags != _NOT_COPIED:
            (folder / kind / "inner").write_text("x")
        ioctl(opened, _SET_FLAGS, flags.to_bytes(8, "little"))
        os.close(opened)


def test_whatever_is_in_a_pod_it_lives_and_goes_and_its_neighbour_never_notices(
    stack: Stack, pool: PoolFile, hostile: tuple[Pod, Pod]
) -> None:
    """Links that lead out of it lead nowhere, whoever follows them; what nobody may remove goes with it."""
    pod, beside = hostile
    pod.sh("echo mine > /home/mine")
    pod.sh(_LEADS_OUT)
    odd_files(pool.seen / "pods" / "hostile" / "home")
    count = pod.sh(_COUNT)
    for link in ("/home/up", "/home/host", "/own/secret", "/own/beside/home/secret", "/srv/beside/secret"):
        assert "no such file" in refusal(pod, f"cat {link}"), link
    pod.call("stop")
    assert pod.call("start")["phase"] == "running"
    assert pod.call("update", {"command": [*SPEC["command"], "again"]})["phase"] == "running"
    pod.lose_container()
    pod.wait_for_another_container()
    assert pod.sh("cat /home/mine; readlink /home/up") == "mine\n../../beside/home/secret"
    assert pod.sh(_COUNT) == count
    uses = stack.client.call("list", fields=["disk_bytes"])["pods"]
    assert len(uses) == 2
    assert pod.call("delete")["phase"] == "deleted"
    wait_until(
        lambda: {path.name for path in (pool.seen / "pods").iterdir()} == {"beside"}, 30, what="its end"
    )
    assert beside.sh("cat /home/secret") == _LINE
    assert beside.call("delete")["phase"] == "deleted"
