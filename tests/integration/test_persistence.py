"""The main promise: a pod keeps its data, whatever happens to its container."""

from collections.abc import Iterator

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.private_engine import PrivateEngine

DIRECTORIES = ("/workspace", "/home", "/root", "/etc", "/usr/local", "/opt", "/var", "/srv")
BIG_FILE_MB = 100


@pytest.fixture
def pod(client: Client, engine: PrivateEngine, debian: str) -> Iterator[Pod]:
    with Pod.running(client, engine, "vm1", {"image": debian}) as pod:
        yield pod


def test_should_persist_data_in_volumes_across_container_stop_start(pod: Pod) -> None:
    """A file in each of the eight directories is there after a stop and a start."""
    for directory in DIRECTORIES:
        pod.sh(f"echo kept > {directory}/note")
    pod.call("stop")
    pod.call("start")
    assert [pod.sh(f"cat {directory}/note") for directory in DIRECTORIES] == ["kept"] * 8


def test_should_persist_data_across_container_removal_and_recreation(pod: Pod) -> None:
    """Content, owner, mode, symlinks, xattrs and a big file survive the loss of the container."""
    for directory in DIRECTORIES:
        pod.sh(
            f"cd {directory} && echo kept > note && chown 1234:4321 note && chmod 4751 note "
            "&& ln -s note link && mkdir -m 700 private && ln note hard"
        )
        pod.set_xattr(f"{directory}/note", "user.kept", "yes")
    pod.sh(f"dd if=/dev/urandom of=/var/big bs=1M count={BIG_FILE_MB} status=none")
    before = [pod.fingerprint(directory) for directory in DIRECTORIES]
    checksum = pod.sh("sha256sum /var/big")
    pod.lose_container()
    pod.wait_for_another_container()
    assert [pod.fingerprint(directory) for directory in DIRECTORIES] == before
    assert pod.sh("sha256sum /var/big") == checksum
    assert [pod.get_xattr(f"{directory}/note", "user.kept") for directory in DIRECTORIES] == ["yes"] * 8


def test_should_persist_system_packages_across_stop_start(pod: Pod) -> None:
    """After a stop and a start, a package is installed as before."""
    pod.install_package("hello-pinacle")
    pod.call("stop")
    pod.call("start")
    assert pod.sh("hello-pinacle") == "hello from a package"
    assert "install ok installed" in pod.sh("dpkg -s hello-pinacle")


def test_a_declared_volume_survives_and_is_never_anonymous(
    client: Client, engine: PrivateEngine, database_image: str
) -> None:
    """What is written below an image's VOLUME line is there after the loss of the container."""
    with Pod.running(client, engine, "db", {"image": database_image}) as pod:
        pod.sh("echo row > /var/lib/db/table; echo log > /var/lib/log")
        pod.lose_container()
        pod.wait_for_another_container()
        assert pod.sh("cat /var/lib/db/table /var/lib/log") == "row\nlog"
        names = set(engine.docker("volume", "ls", "-q").split())
        named = ("pinacle-vol-db-", "pinacle-base-", "pinacle-storage-")
        assert all(name.startswith(named) for name in names), names
        assert "pinacle-vol-db-declared.var.lib.db" in names


def test_what_was_emptied_stays_empty_with_owner_and_mode(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """The image fills a volume once: an emptied /opt is not filled again, and keeps its owner and mode."""
    with Pod.running(client, engine, "empty", {"image": busybox}) as pod:
        assert pod.sh("ls /opt") == "readme"
        pod.sh("rm -rf /opt/readme; chown 1000:1000 /opt; chmod 700 /opt")
        pod.lose_container()
        pod.wait_for_another_container()
        assert pod.sh("ls -A /opt") == ""
        assert pod.sh("stat -c '%u:%g %a' /opt") == "1000:1000 700"


def test_volumes_of_an_older_system_are_reattached(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """Volumes with the right names and no labels become the pod's, with their data; the rest is made."""
    for name in ("home", "etc"):
        engine.docker("volume", "create", f"pinacle-vol-old-{name}")
    mounts = ("-v", "pinacle-vol-old-home:/h", "-v", "pinacle-vol-old-etc:/e")
    engine.docker("run", "--rm", *mounts, busybox, "sh", "-c", "echo mine > /h/file; echo conf > /e/conf")
    with Pod.running(client, engine, "old", {"image": busybox}) as pod:
        assert pod.sh("cat /home/file /etc/conf; ls /opt") == "mine\nconf\nreadme"
        # The image's own /etc/passwd: a volume that has its data is not filled from the image.
        assert pod.sh("test -e /etc/passwd || echo none") == "none"


def test_a_folder_that_the_owner_made_below_the_root_is_kept_when_the_spec_changes(
    client: Client, engine: PrivateEngine, busybox: str
) -> None:
    """It gets a volume of its own and is safe from then on; before that, `pods.get` names it."""
    spec = {"image": busybox, "stop_timeout_s": 1}
    with Pod.running(client, engine, "top", spec) as pod:
        pod.sh("mkdir -p /data/deep && echo kept > /data/deep/note && chown 7:8 /data/deep/note")
        pod.sh("ln -s deep/note /data/link; ln -s /data /alias; echo file > /file")
        shown = pod.call("get")["unprotected_paths"]
        assert [path for path in shown if not path.startswith("/etc")] == ["/alias", "/data", "/file"]
        assert "/etc/hosts" in shown
        assert (
            pod.call("update", {**spec, "hostname": "other"}, discard=["/alias", "/file"])["phase"]
            == "running"
        )
        assert pod.sh("cat /data/deep/note; stat -c %u:%g /data/deep/note") == "kept\n7:8"
        assert pod.sh("readlink /data/link") == "deep/note"
        assert "/data" not in pod.call("get")["unprotected_paths"]
        pod.sh("echo more > /data/more")
        pod.lose_container()
        pod.wait_for_another_container()
        assert pod.sh("cat /data/more /data/deep/note") == "more\nkept"
        assert "pinacle-vol-top-declared.data" in engine.docker("volume", "ls", "-q")
    assert "pinacle-vol-top" not in engine.docker("volume", "ls", "-q")
