"""Directories of containers are copied by the Engine's archives if the Engine's disk cannot be seen."""

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from worker.docker.engine import DockerEngine
from worker.errors import CopyFailedError
from worker.local.private_engine import PrivateEngine

pytestmark = pytest.mark.usefixtures("busybox")

CAPABILITY: Final = bytes.fromhex("0100000200040000000000000000000000000000")
LONG: Final = "/".join(["n" * 90] * 3)
SCRIPT: Final = (
    "mkdir -p /data/db/deep /data/sub; cd /data; echo x > note; chown 1234:4321 note; chmod 4751 note; "
    "ln note hard; ln -s /data link; mknod null c 1 3; mkfifo pipe; "
    "echo no > db/file; echo no > db/deep/file; echo y > dbx; "
    f"mkdir -p {LONG}; echo z > {LONG}/file; echo ä > ä; dd if=/dev/zero of=hole bs=1 count=1 seek=9999999"
)
LOOK: Final = (
    "cd /data; find . -mindepth 1 ! -path './db*' -exec stat -c '%n %F %a %u:%g %h %s %t,%T' {} + | sort; "
    "cat note hard"
)


@pytest.fixture
async def make(engine: PrivateEngine, tmp_path: Path) -> AsyncIterator[Callable[[Path | None], DockerEngine]]:
    made: list[DockerEngine] = []

    def new(data_root: Path | None) -> DockerEngine:
        made.append(
            DockerEngine(
                engine.url,
                step_deadline_s=10,
                fill_deadline_s=60,
                pull_silence_s=10,
                docker_config=tmp_path,
                network="folders",
                installation="test",
                data_root=data_root,
            )
        )
        return made[-1]

    yield new
    for each in made:
        await each.close()
    engine.docker("rm", "-f", "-v", "folders", "others")
    engine.docker("volume", "rm", "-f", "folders-new", "folders-db", "folders-own")


@pytest.mark.parametrize("sees_disk", [True, False])
async def test_a_directory_is_copied_with_all_that_it_has(
    engine: PrivateEngine, make: Callable[[Path | None], DockerEngine], tmp_path: Path, *, sees_disk: bool
) -> None:
    """Except for what is on other mounts, and what another volume will hold."""
    docker = make(None if sees_disk else tmp_path / "none")
    engine.docker("run", "-d", "--name", "folders", "-v", "folders-db:/data/db/deep", "pinacle-busybox")
    engine.docker("exec", "folders", "sh", "-ec", SCRIPT)
    before = engine.docker("exec", "folders", "sh", "-ec", LOOK)
    pid = engine.docker("inspect", "-f", "{{.State.Pid}}", "folders").strip()
    os.setxattr(f"/proc/{pid}/root/data/note", "security.capability", CAPABILITY)
    engine.docker("kill", "folders")
    container = engine.docker("inspect", "-f", "{{.Id}}", "folders").strip()
    measured = await docker.measure_folders(container, ["/data"], floor_bytes=10**18)
    assert measured.keeps_holes is sees_disk
    assert (measured.needed_bytes > 9_999_999) is not sees_disk
    await docker.create_volume("folders-new", {})
    await docker.copy_folder(container, "/data", "folders-new", ["/data/db"])
    engine.docker("run", "-d", "--name", "others", "-v", "folders-new:/data", "pinacle-busybox")
    assert engine.docker("exec", "others", "sh", "-ec", LOOK) == before
    folder = engine.data_root / "volumes/folders-new/_data"
    assert os.getxattr(folder / "note", "security.capability") == CAPABILITY
    assert not (folder / "db").exists()
    assert (folder / "dbx").read_text() == "y\n"


async def test_a_full_disk_is_reported_as_that(
    engine: PrivateEngine, make: Callable[[Path | None], DockerEngine], tmp_path: Path
) -> None:
    """A small volume stands for it; the caller has to remove what was copied until then."""
    options = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m")
    engine.docker("volume", "create", *options, "folders-new")
    engine.docker("run", "-d", "--name", "folders", "pinacle-busybox")
    engine.docker("exec", "folders", "sh", "-ec", "mkdir /data; head -c 9000000 /dev/zero > /data/file")
    engine.docker("kill", "folders")
    docker = make(tmp_path / "none")
    container = engine.docker("inspect", "-f", "{{.Id}}", "folders").strip()
    with pytest.raises(CopyFailedError, match="/data was not copied into volume folders-new"):
        await docker.copy_folder(container, "/data", "folders-new", [])
    engine.docker("create", "--name", "others", "pinacle-busybox")


async def test_a_hard_link_from_what_is_kept_into_what_is_not(
    engine: PrivateEngine, make: Callable[[Path | None], DockerEngine], tmp_path: Path
) -> None:
    """On the disk both get the file; an archive has it only once, so this is refused rather than lost."""
    engine.docker("run", "-d", "--name", "folders", "pinacle-busybox")
    script = "mkdir -p /data/db; echo mine > /data/db/file; ln /data/db/file /data/z"
    engine.docker("exec", "folders", "sh", "-ec", script)
    engine.docker("kill", "folders")
    container = engine.docker("inspect", "-f", "{{.Id}}", "folders").strip()
    await make(None).create_volume("folders-new", {})
    with pytest.raises(CopyFailedError, match="data/z is another name"):
        await make(tmp_path / "none").copy_folder(container, "/data", "folders-new", ["/data/db"])
    await make(None).copy_folder(container, "/data", "folders-new", ["/data/db"])
    assert (engine.data_root / "volumes/folders-new/_data/z").read_text() == "mine\n"
    engine.docker("create", "--name", "others", "pinacle-busybox")
