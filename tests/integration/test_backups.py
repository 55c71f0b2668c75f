"""What docs/operations.md says about backing volumes up keeps everything, and what was deleted stays so."""

import os
import re
import subprocess
import sys
from pathlib import Path
from struct import pack
from typing import Any, Final

import pytest

from tests.conftest import CACHE
from tests.support.attributes import attributes
from tests.support.pods import Pod
from tests.support.worker import ROOT
from worker.local.client import Client
from worker.local.images import import_busybox, import_debian
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine

MAY_PING: Final = pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""A capability of a file as the kernel keeps it: NET_RAW."""
NOBODY: Final = 0xFFFFFFFF
FOR_USER_1234: Final = pack(
    "<IHHIHHIHHIHHIHHI", 2, 1, 6, NOBODY, 2, 7, 1234, 4, 4, NOBODY, 16, 7, NOBODY, 32, 4, NOBODY
)
"""An ACL as the kernel takes it: owner, that user, group, mask, others."""
FILL: Final = """
cd /home; echo mine > file; chown 1000:1001 file; chmod 2750 file; ln file hard; ln -s file link
mkfifo pipe; mkdir empty; chmod 1777 empty; touch -d '2001-02-03 04:05:06' file
dd if=/dev/zero of=holes bs=1 count=1 seek=20000000 2>/dev/null
rm /bin/yes; cp /bin/busybox /bin/probe
rm -r /usr/share/tool; mkdir /usr/share/tool; echo new > /usr/share/tool/new
"""
SEEN: Final = """
test -e /bin/yes || echo gone; ls /usr/share/tool; cat /home/hard; test -x /bin/probe && echo runs
"""


@pytest.fixture
def debian_slim(engine: PrivateEngine) -> Any:
    """The image that the page names, with its real `tar`."""
    import_debian(engine, CACHE)
    engine.docker("tag", "pinacle-debian", "debian:12-slim")
    yield
    engine.docker("rmi", "debian:12-slim")


def block(title: str) -> str:
    text = (ROOT / "docs" / "operations.md").read_text()
    found = re.search(rf"<!-- {title}\b[^>]*-->\n```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"there is no block {title!r}"
    return found[1]


def run(script: str, folder: Path, settings: dict[str, str]) -> None:
    pinacle = f"cd {ROOT} && {sys.executable} -m worker.cli"
    compose = f'shift 4; ({pinacle} "$@")'
    docker = f'docker() {{ if [ "$1" = compose ]; then {compose}; else {find("docker")} "$@"; fi; }}'
    done = subprocess.run(
        ["bash", "-euc", f"{docker}\n{script}"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        timeout=180,
    )
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"


def test_a_restored_volume_has_every_attribute_and_nothing_that_was_deleted(
    client: Client, engine: PrivateEngine, settings: dict[str, str], tmp_path: Path, debian_slim: None
) -> None:
    """Owners, modes, times, links, devices, holes, ACLs, capabilities, and the marks of what was deleted."""
    import_busybox(engine, "pinacle-tool", files={"usr/share/tool/old": b"old\n"})
    volumes = {
        name: Path(engine.data_root, "volumes", f"pinacle-vol-abc-{name}", "_data")
        for name in ("home", "system")
    }
    with Pod.running(client, engine, "abc", {"image": "pinacle-tool", "stop_timeout_s": 1}) as pod:
        pod.sh(FILL)
        seen = pod.sh(SEEN)
        assert seen.split() == ["gone", "new", "mine", "runs"]
        assert pod.call("stop")["phase"] == "stopped"
        os.setxattr(volumes["system"] / "bin/upper/probe", "security.capability", MAY_PING)
        os.setxattr(volumes["home"] / "file", "user.ours", b"ours")
        os.setxattr(volumes["home"] / "empty", "trusted.ours", b"ours")
        os.setxattr(volumes["home"] / "holes", "system.posix_acl_access", FOR_USER_1234)
        os.mknod(volumes["home"] / "device", 0o600 | 0o020000, os.makedev(1, 3))
        before = {name: kept(path) for name, path in volumes.items()}
        everything = str(before)
        for mark in ("security.capability", "trusted.overlay.opaque", "posix_acl_access", "has_holes': True"):
            assert mark in everything, f"the test has no {mark}"
        for name in volumes:
            run(block("a volume, backed up").replace("abc-home", f"abc-{name}"), tmp_path, settings)
        pod.sh("echo worse > /home/file; rm /home/link; touch /bin/yes; touch /usr/share/tool/more")
        for name in volumes:
            run(block("a volume, restored").replace("abc-home", f"abc-{name}"), tmp_path, settings)
        assert pod.sh(SEEN) == seen
        assert pod.call("stop")["phase"] == "stopped"
        for name, path in volumes.items():
            after = kept(path)
            assert after.keys() == before[name].keys()
            differ = {
                key: (before[name][key], after[key]) for key in after if after[key] != before[name][key]
            }
            assert not differ, f"{name}: {differ}"


def kept(volume: Path) -> dict[str, Any]:
    """Leave out the folder in which an overlay works while it is mounted; it is made again each time."""

    def is_kept(path: str) -> bool:
        return "work" not in Path(path).parts[:2]

    found = attributes(volume)
    return {
        path: {**of, "names": [name for name in of["names"] if is_kept(name)]}
        for path, of in found.items()
        if is_kept(path)
    }
