"""System directories: what was installed into `/usr`, `/bin` or `/lib` outlives the container."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from redis import Redis

from tests.support.pods import Pod
from tests.support.worker import WorkerProcess
from worker.local.client import Client
from worker.local.packages import find
from worker.local.private_engine import PrivateEngine

pytestmark = pytest.mark.usefixtures("busybox")

BUSYBOX: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
CAPABILITY: Final = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service+ep, as `setcap` writes it."""
TREE: Final = "cd / && find usr -xdev -printf '%P %y %m %U:%G %n %l %s\\n' | grep -v __pycache__ | sort"


@pytest.fixture(scope="module", params=["overlay", pytest.param("copy", marks=pytest.mark.local)])
def mode(request: pytest.FixtureRequest, backend: dict[str, str]) -> str:
    found: str = request.param
    return "pool" if backend else found


@pytest.fixture(scope="module")
def settings(settings: dict[str, str], mode: str) -> dict[str, str]:
    return settings if mode == "pool" else {**settings, "PINACLE_SYSTEM_VOLUMES": mode}


def replace_container(pod: Pod) -> None:
    pod.lose_container()
    pod.wait_for_another_container(60)


def volumes(engine: PrivateEngine, pod_id: str) -> set[str]:
    prefix = f"pinacle-vol-{pod_id}-"
    names = engine.docker("volume", "ls", "-q").split()
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


def bases(engine: PrivateEngine) -> list[str]:
    return engine.docker("volume", "ls", "-q", "--filter", "label=dev.pinacle.base").split()


def content(engine: PrivateEngine, names: list[str]) -> list[tuple[str, int, int, bytes]]:
    """Return everything in some volumes, file by file."""
    found = []
    for name in names:
        for path in sorted(Path(engine.data_root, "volumes", name, "_data").rglob("*")):
            status = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found.append((str(path), status.st_mode, status.st_uid, data))
    return found


@pytest.fixture
def pod(client: Client, engine: PrivateEngine, debian: str) -> Iterator[Pod]:
    with Pod.running(client, engine, "sys", {"image": debian, "stop_timeout_s": 2}) as pod:
        yield pod


def test_should_persist_system_packages_across_container_removal_and_recreation(
    pod: Pod, engine: PrivateEngine, mode: str, runtime: str | None
) -> None:
    """Packages, removals, replaced and moved files are as they were, and dpkg agrees with the files."""
    assert pod.call("get")["system_volumes"] == mode
    pod.install_package("hello-pinacle")
    pod.install_package("hello-again", depends="hello-pinacle")
    pod.sh("dpkg --purge --force-all mawk && ! test -e /usr/bin/mawk")
    pod.sh("cp /usr/bin/id /usr/bin/whoami")
    pod.sh("mkdir -p /usr/share/mine && echo x > /usr/share/mine/x && mv /usr/share/mine /usr/share/moved")
    pod.sh("mv /usr/share/doc /usr/share/documents")
    pod.sh("cp /bin/true /usr/bin/one && ln /usr/bin/one /usr/bin/two && chmod 4755 /usr/bin/one")
    pod.sh(
        "for n in $(seq 300); do mkdir -p /usr/lib/node_modules/p$n /usr/local/lib/p$n; "
        "echo $n | tee /usr/lib/node_modules/p$n/index.js > /usr/local/lib/p$n/module.py; done"
    )
    pod.sh("echo 'someone:x:4242:4242::/home/someone:/bin/sh' >> /etc/passwd")
    if runtime is None:
        os.setxattr(pod.inside("/usr/bin/two"), "security.capability", CAPABILITY)
    before = [pod.sh(TREE), pod.sh("dpkg -V || true"), pod.sh("dpkg -l | sha256sum")]
    replace_container(pod)
    assert [pod.sh(TREE), pod.sh("dpkg -V || true"), pod.sh("dpkg -l | sha256sum")] == before
    assert pod.sh("hello-pinacle; hello-again") == "hello from a package\nhello from a package"
    assert "install ok installed" in pod.sh("dpkg -s hello-again")
    assert pod.sh("! test -e /usr/bin/mawk && ! dpkg -s mawk 2>/dev/null && whoami") != "root"
    assert pod.sh("find /usr/bin/two -printf %n,%m") == "2,4755"
    assert pod.sh("id -u someone") == "4242"
    if runtime is None:
        assert os.getxattr(pod.inside("/usr/bin/two"), "security.capability") == CAPABILITY


def test_a_program_in_bin_with_its_library_in_lib_survives(
    client: Client, engine: PrivateEngine, mode: str
) -> None:
    """On an image with real /bin and /lib, like Alpine."""
    with Pod.running(client, engine, "alp", BUSYBOX) as pod:
        pod.sh("echo 'greet() { echo hi; }' > /lib/libgreet.sh; rm /bin/yes")
        pod.sh("printf '#!/bin/sh\\n. /lib/libgreet.sh\\ngreet\\n' > /bin/greet; chmod +x /bin/greet")
        replace_container(pod)
        assert pod.sh("greet") == "hi"
        assert pod.sh("test -e /bin/yes || echo gone") == "gone"
        layers = {"system"} if mode == "overlay" else set()
        assert volumes(engine, "alp") >= {"usr", "bin", "lib"} | layers
        pod.call("stop")
        pod.call("start")
        assert pod.sh("greet") == "hi"
    assert not volumes(engine, "alp")


def test_pods_of_one_image_share_a_base_and_see_nothing_of_each_other(
    client: Client, engine: PrivateEngine, mode: str
) -> None:
    with (
        Pod.running(client, engine, "one", BUSYBOX) as one,
        Pod.running(client, engine, "two", BUSYBOX) as two,
    ):
        names = bases(engine)
        before = content(engine, names)
        one.sh("echo one > /bin/mine; rm /bin/yes; echo changed > /usr/file")
        two.sh("echo two > /lib/mine")
        assert two.sh("ls /bin/mine /usr/file 2>/dev/null || true; test -e /bin/yes && echo there") == "there"
        assert one.sh("test -e /lib/mine || echo none") == "none"
        replace_container(one)
        assert one.sh("cat /bin/mine /usr/file") == "one\nchanged"
        assert content(engine, names) == before
    if mode == "overlay":
        assert before, "there should be a base"


@pytest.mark.local
def test_an_overlay_that_somebody_removed_is_made_again(
    client: Client, engine: PrivateEngine, pod_worker: WorkerProcess, mode: str
) -> None:
    """The overlay itself has no data, but the layer below it is the owner's data, and so is a copy."""
    with Pod.running(client, engine, "over", BUSYBOX) as pod:
        pod.sh("echo mine > /bin/mine")
        pod.call("stop")
        with pod_worker.held():
            engine.docker("rm", pod.container)
            engine.docker("volume", "rm", "pinacle-vol-over-bin")
        answer = pod.call("start")
        if mode == "overlay":
            assert answer["phase"] == "running"
            assert pod.sh("cat /bin/mine") == "mine"
        else:
            assert answer["phase"] == "storage_missing"
            assert "pinacle-vol-over-bin" in answer["last_error"]


@pytest.mark.parametrize("image", ["shellless", "nothing", "linked"])
def test_images_of_unusual_shape(client: Client, engine: PrivateEngine, mode: str, image: str) -> None:
    """Without a shell, without any of the directories, and with a /usr that is a link."""
    name = f"pinacle-{image}"
    make_unusual(engine, image, name)
    with Pod.running(client, engine, image, {"image": name, "stop_timeout_s": 1}) as pod:
        without = "pool" if mode == "pool" else "off"
        expected = {"shellless": mode, "nothing": without, "linked": without}[image]
        assert pod.call("get")["system_volumes"] == expected
        replace_container(pod)


def make_unusual(engine: PrivateEngine, image: str, name: str) -> None:
    program = Path(find("busybox") or "busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        path = {"shellless": "usr/sleep", "nothing": "app/sleep", "linked": "app/sleep"}[image]
        entry = tarfile.TarInfo(path)
        entry.mode, entry.size = 0o755, len(program)
        tar.addfile(entry, io.BytesIO(program))
        if image == "linked":
            link = tarfile.TarInfo("usr")
            link.type, link.linkname = tarfile.SYMTYPE, "app"
            tar.addfile(link)
    engine.docker("import", "--change", f'CMD ["/{path}", "100000"]', "-", name, stdin=buffer.getvalue())


def test_a_lost_record_is_rebuilt_with_its_system_volumes(
    client: Client,
    engine: PrivateEngine,
    mode: str,
    settings: dict[str, str],
    pod_worker: WorkerProcess,
) -> None:
    """From the container's labels if there is one, and by adoption if there are only volumes."""
    with (
        Pod.running(client, engine, "rec", BUSYBOX) as kept,
        Pod.running(client, engine, "orp", BUSYBOX) as orphan,
    ):
        kept.sh("echo kept > /bin/mine")
        orphan.sh("echo orphan > /bin/mine")
        before = kept.container_id()
        pod_worker.stop()
        with Redis.from_url(settings["PINACLE_REDIS_URL"]) as redis:
            redis.flushall()
        engine.docker("rm", "-f", orphan.container)
        pod_worker.start()
        assert kept.call("get")["system_volumes"] == mode
        assert orphan.call("create", BUSYBOX)["phase"] == "running"
        assert (kept.sh("cat /bin/mine"), orphan.sh("cat /bin/mine")) == ("kept", "orphan")
        assert kept.container_id() == before
        replace_container(kept)
        assert kept.sh("cat /bin/mine") == "kept"
