"""What the owner has in a container outside its volumes is kept when another one replaces it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.images import import_busybox
from worker.local.private_engine import EngineFailedError, PrivateEngine
from worker.local.waiting import wait_until

BUSYBOX: Final = {"image": "pinacle-busybox", "stop_timeout_s": 1}
APP: Final = {"image": "pinacle-app", "stop_timeout_s": 1}
CAPABILITY: Final = bytes.fromhex("0100000200040000000000000000000000000000")
SPARSE_BYTES: Final = 20_000_000_000


@pytest.fixture(scope="module", autouse=True)
def images(engine: PrivateEngine, busybox: str) -> None:
    """Two releases of a program in /app, and images with volumes where owners have directories."""
    files = {"app/program": b"first", "app/data/given": b"first", "opt-in/readme": b"first"}
    import_busybox(engine, "pinacle-app", files=files)
    newer = dict.fromkeys(files, b"second")
    import_busybox(engine, "pinacle-app-2", files=newer)
    for path in ("/data", "/data/db", "/data/db/deep", "/srv/db", "/app/data"):
        name = f"pinacle-volume{path.replace('/', '-')}"
        inside = {f"{path[1:]}/given": b"by the image"}
        import_busybox(engine, name, changes=(f"VOLUME {path}",), files=inside)


@pytest.fixture
def pod(client: Client, engine: PrivateEngine) -> Iterator[Pod]:
    with Pod.running(client, engine, "up", BUSYBOX) as pod:
        yield pod


@pytest.fixture
def app(client: Client, engine: PrivateEngine) -> Iterator[Pod]:
    with Pod.running(client, engine, "app", APP) as pod:
        yield pod


def settled(pod: Pod, answer: dict[str, Any]) -> dict[str, Any]:
    """Wait until it is done; on a slow machine a task answers before that."""
    if answer["phase"] == "pending":
        wait_until(lambda: pod.call("get")["phase"] != "pending", 120, what=f"pod {pod.id}, settled")
        return pod.call("get")
    return answer


def updated(pod: Pod, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = settled(pod, pod.call("update", spec, **more))
    assert answer["phase"] == "running", (answer["phase"], answer["last_error"], answer["steps"])
    return answer


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/data", ["/data"]),
        ("/data/db", ["/data", "/data/db"]),
        ("/data/db/deep", ["/data", "/data/db/deep"]),
    ],
)
def test_a_volume_of_the_image_at_or_below_the_owners_directory(pod: Pod, path: str, kept: list[str]) -> None:
    """The volume begins with what the owner has there, and hides nothing."""
    files = ("/data/file", "/data/db/file", "/data/db/deep/file")
    pod.sh("mkdir -p /data/db/deep; for f in " + " ".join(files) + "; do echo mine > $f; done")
    answer = updated(pod, {**BUSYBOX, "image": f"pinacle-volume{path.replace('/', '-')}"})
    assert answer["kept"] == kept
    assert pod.sh("cat " + " ".join(files)).split() == ["mine"] * 3
    assert pod.sh(f"test -e {path}/given || echo none") == "none"
    pod.lose_container()
    pod.wait_for_another_container()
    assert pod.sh("cat " + " ".join(files)).split() == ["mine"] * 3


def test_a_volume_of_the_image_below_the_owners_directory_that_he_has_not(pod: Pod) -> None:
    """Then it is the image's, beside what is the owner's."""
    pod.sh("mkdir /data; echo mine > /data/file")
    assert updated(pod, {**BUSYBOX, "image": "pinacle-volume-data-db"})["kept"] == ["/data"]
    assert pod.sh("cat /data/file /data/db/given").split("\n") == ["mine", "by the image"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_volume_of_the_image_below_one_of_the_pods_volumes(pod: Pod, *, lost: bool) -> None:
    """Even if the container was lost: then the volume is examined."""
    pod.sh("mkdir /srv/db; echo mine > /srv/db/file; echo too > /srv/file")
    if lost:
        pod.call("stop")
        pod.lose_container()
    answer = pod.call("update", {**BUSYBOX, "image": "pinacle-volume-srv-db"})
    if lost:
        answer = pod.call("start")
    assert answer["phase"] == "running", (answer["phase"], answer["last_error"], answer["steps"])
    assert pod.sh("cat /srv/db/file /srv/file; test -e /srv/db/given || echo none") == "mine\ntoo\nnone"


@pytest.mark.local
def test_a_changed_directory_of_the_image_survives_an_update_of_the_hostname(app: Pod) -> None:
    """It is copied completely and once: a second update finds it on its volume."""
    app.sh("echo mine > /app/data/file; rm /app/data/given; chmod 750 /app/data")
    assert updated(app, {**APP, "hostname": "one"})["kept"] == ["/app"]
    assert (
        app.sh("cat /app/program /app/data/file; test -e /app/data/given || echo gone") == "firstmine\ngone"
    )
    assert app.sh("stat -c %a /app/data") == "750"
    assert updated(app, {**APP, "hostname": "two"})["kept"] == []
    assert app.sh("cat /app/data/file") == "mine"


def test_what_the_owner_did_not_touch_is_the_next_images(app: Pod) -> None:
    """And what the owner did touch stays as it was, and is listed."""
    app.sh("echo mine > /app/file")
    assert updated(app, {**APP, "image": "pinacle-app-2"})["kept"] == ["/app"]
    assert app.sh("cat /app/program /opt-in/readme") == "firstsecond"


def test_what_is_given_up_is_the_next_images(app: Pod) -> None:
    """Directories that would be kept, and what would prevent the update."""
    app.sh("echo mine > /app/file; echo x > /file; ln -s /app /link")
    error = app.client.error("update", app.id, {**APP, "image": "pinacle-app-2"})
    assert error.startswith("UpdateRefusedError"), error
    assert "/file (a file or link in /), /link (" in error
    assert "/app" not in error.replace("pinacle-app", "").partition("discard")[0].replace("/link", "")
    before = app.container_id()
    assert app.call("get")["phase"] == "running"
    assert app.container_id() == before
    discard = ["/file", "/link", "/app/"]
    assert updated(app, {**APP, "image": "pinacle-app-2"}, discard=discard)["kept"] == []
    assert app.sh("cat /app/program; ls / | grep -c -e file -e link || true") == "second0"


@pytest.mark.local
def test_an_update_is_refused_for_what_was_removed_in_the_root(app: Pod) -> None:
    app.sh("rm -r /opt-in")
    error = app.client.error("update", app.id, {**APP, "hostname": "other"})
    assert "/opt-in (removed, the image has it again)" in error
    assert "discard=['/opt-in']" in error


def test_a_container_that_is_made_again_on_demand_keeps_the_same(app: Pod) -> None:
    """With the same spec; if something cannot be kept, it is refused before the container is stopped."""
    app.sh("mkdir /data; echo mine > /data/file; touch /file")
    before = app.container_id()
    assert "/file" in app.client.error("restart", app.id, recreate=True)
    assert app.container_id() == before
    app.sh("rm /file")
    answer = app.call("restart", recreate=True)
    assert (answer["phase"], answer["kept"]) == ("running", ["/data"])
    assert app.container_id() != before
    assert app.sh("cat /data/file") == "mine"
    again = app.container_id()
    app.call("restart")
    assert app.container_id() == again


def test_directories_of_any_name_are_kept(app: Pod) -> None:
    """Each has a volume of its own, whose name is made of the path."""
    app.sh("mkdir /boot; echo mine > /boot/file; mkdir -p '/my data/ä'; echo too > '/my data/ä/file'")
    assert updated(app, {**APP, "hostname": "other"})["kept"] == ["/boot", "/my data"]
    assert app.sh("cat /boot/file '/my data/ä/file'") == "mine\ntoo"


def test_a_kept_directory_keeps_all_that_it_has(pod: Pod, runtime: str | None) -> None:
    """Owners, modes, hard links, devices, attributes, and holes: a file of 20 GB that is almost empty."""
    pod.sh(
        "mkdir -p /data/sub; cd /data; echo x > note; chown 1234:4321 note; chmod 4751 note; ln note hard; "
        "ln -s note link; echo no > /data/sub/file; rm /data/sub/file"
    )
    pod.sh(f"dd if=/dev/zero of=/data/disk.img bs=1 count=1 seek={SPARSE_BYTES - 1} 2>/dev/null")
    if runtime is None:
        # One that gVisor makes is in its memory, and on no disk.
        pod.sh("mkfifo /data/pipe")
        # A pod cannot make a device (no MKNOD), but one that an older container of it made is kept.
        os.mknod(pod.inside("/data/null"), stat.S_IFCHR | 0o640, os.makedev(1, 3))
        os.setxattr(pod.inside("/data/note"), "security.capability", CAPABILITY)
        os.setxattr(pod.inside("/data/note"), "user.kept", b"yes")
        os.setxattr(pod.inside("/data/sub"), "trusted.kept", b"yes")
    # How large a directory is, and how many links it has, is its file system's affair.
    look = (
        "cd /data; stat -c '%n %F %a %u:%g' . sub; "
        "find . ! -type d -exec stat -c '%n %F %a %u:%g %h %s %t,%T' {} + | sort"
    )
    before = pod.sh(look)
    assert updated(pod, {**BUSYBOX, "hostname": "other"})["kept"] == ["/data"]
    assert pod.sh(look) == before
    on_disk = pod.engine.data_root / "volumes/pinacle-vol-up-declared.data/_data"
    volume = Path(pod.inside("/data")) if runtime is None else on_disk
    assert (volume / "disk.img").stat().st_blocks * 512 < 1_000_000
    if runtime is None:
        assert os.getxattr(volume / "note", "security.capability") == CAPABILITY
        assert os.getxattr(volume / "note", "user.kept") == b"yes"
        assert os.getxattr(volume / "sub", "trusted.kept") == b"yes"
    assert not [name for name in os.listxattr(volume) if name.startswith("trusted.overlay")]


def test_a_tree_of_many_files(pod: Pod) -> None:
    pod.sh('mkdir /data; cd /data; for i in $(seq 300); do mkdir $i; touch $i/$(seq -s " $i/" 100); done')
    assert updated(pod, {**BUSYBOX, "hostname": "other"})["kept"] == ["/data"]
    assert pod.sh("find /data -type f | wc -l") == "30000"


def test_a_link_below_a_kept_directory_leads_nowhere_on_the_host(
    pod: Pod, engine: PrivateEngine, tmp_path: Path
) -> None:
    """What is copied is the link."""
    (tmp_path / "secret").write_text("of the host")
    pod.sh(f"mkdir /data; ln -s {tmp_path} /data/db; ln -s {tmp_path}/secret /data/secret")
    error = pod.client.error("update", pod.id, {**BUSYBOX, "image": "pinacle-volume-data-db"})
    assert "/data/db (a volume is to be here, and a file or link is)" in error
    updated(pod, {**BUSYBOX, "hostname": "other"})
    assert pod.sh("readlink /data/secret; readlink /data/db").split() == [f"{tmp_path}/secret", str(tmp_path)]


@pytest.mark.local
def test_a_stopped_pod_is_looked_into_as_well(app: Pod) -> None:
    app.sh("echo mine > /app/file; touch /file")
    app.call("stop")
    assert "/file" in app.client.error("update", app.id, {**APP, "hostname": "other"})
    assert app.call("update", {**APP, "hostname": "other"}, discard=["/file"])["phase"] == "stopped"
    answer = app.call("start")
    assert (answer["phase"], answer["kept"]) == ("running", ["/app"])
    assert app.sh("cat /app/file; test -e /file || echo gone") == "mine\ngone"


def foreign(engine: PrivateEngine, pod_id: str, image: str, *words: str) -> None:
    mounts = ("-v", f"pinacle-vol-{pod_id}-home:/home")
    engine.docker("run", "-d", "--name", f"pinacle-pod-{pod_id}", *mounts, *words, image)


def forget(engine: PrivateEngine, pod_id: str) -> None:
    engine.docker("rm", "-f", "-v", f"pinacle-pod-{pod_id}")
    engine.docker("volume", "rm", f"pinacle-vol-{pod_id}-home")


def test_an_adopted_container_loses_nothing(client: Client, engine: PrivateEngine) -> None:
    """A database on an anonymous volume, a volume with another name, /data, a program, what is in /opt."""
    import_busybox(engine, "pinacle-older", changes=("VOLUME /var/lib/db",))
    foreign(engine, "old", "pinacle-older", "-v", "others:/cache")
    pod = Pod(client, engine, "old")
    files = ("/var/lib/db/file", "/cache/file", "/data/file", "/usr/bin/mine", "/opt/file", "/home/file")
    pod.sh("mkdir /data; for f in " + " ".join(files) + "; do echo mine > $f; done; echo b > /bin/mine")
    answer = settled(pod, client.call("create", "old", BUSYBOX, adopt=True))
    assert answer["phase"] == "running", (answer["phase"], answer["last_error"], answer["steps"])
    assert set(answer["kept"]) >= {"/var/lib/db", "/cache", "/data", "/usr", "/opt", "/bin"}
    assert answer["system_volumes"] == "copy"
    for _ in range(2):
        assert pod.sh("cat " + " ".join(files)).split() == ["mine"] * len(files)
        assert pod.sh("cat /bin/mine /opt/readme").split("\n")[0] == "b"
        pod.lose_container()
        pod.wait_for_another_container()
    assert client.call("delete", "old")["phase"] == "deleted"
    engine.docker("volume", "rm", "others")
    engine.docker("volume", "prune", "-f", "--filter", "label!=dev.pinacle.installation")


def test_an_adoption_is_refused_for_what_cannot_be_kept(client: Client, engine: PrivateEngine) -> None:
    """Files in `/`, directories of the host, another volume for the same path; the container runs on."""
    pod = Pod(client, engine, "no")
    for words, script, expected in (
        (("-v", "/srv:/hosts"), "true", "mounts directories or files of the host at /hosts"),
        ((), "touch /file", "/file (a file or link in /): move them"),
        ((), "echo x > /opt/file", "volume pinacle-vol-no-opt exists for it"),
    ):
        foreign(engine, "no", "pinacle-busybox", *words)
        if "/opt" in script:
            engine.docker("volume", "create", "pinacle-vol-no-opt")
        pod.sh(script)
        before = pod.container_id()
        error = client.error("create", "no", BUSYBOX, adopt=True)
        assert error.startswith("UpdateRefusedError"), error
        assert expected in error
        assert (pod.container_id(), pod.is_up()) == (before, True)
        forget(engine, "no")
    engine.docker("volume", "rm", "pinacle-vol-no-opt")
    with pytest.raises(EngineFailedError):
        engine.docker("volume", "inspect", "pinacle-vol-no-etc")


def test_an_update_changes_what_it_names(client: Client, engine: PrivateEngine) -> None:
    """And says what that was; a caller that has seen something else is refused."""
    spec = {**BUSYBOX, "env": {"A": "a"}, "ports": [{"container": 80}], "tier": "dev.medium"}
    with Pod.running(client, engine, "patched", spec) as pod:
        before = pod.call("get")
        answer = updated(pod, {"hostname": "two", "tier": None, "env": {"B": "b"}})
        assert sorted(answer["changed"]) == ["env", "hostname", "tier"]
        assert answer["spec"] == before["spec"] | {"hostname": "two", "tier": "dev.small"}
        assert answer["ports"] == before["ports"]
        assert pod.sh("echo $A$B; hostname") == "ab\ntwo"
        late = client.error("update", pod.id, {"hostname": "three"}, expected_generation=before["generation"])
        assert late.startswith("LostUpdateError: expected_generation: pod 'patched' is at")
        assert pod.call("update", {"hostname": "two"})["changed"] == []
        assert updated(pod, BUSYBOX, replace=True)["spec"] == before["spec"] | {
            "ports": [],
            "tier": "dev.small",
        }
        assert pod.sh("echo $A$B") == ""


def test_updates_that_come_at_the_same_time_lose_none(client: Client, pod: Pod) -> None:
    """Each is made to what the one before left."""
    names = [f"N{number}" for number in range(6)]
    sent = [client.send("update", pod.id, {"env": {name: name}}) for name in names]
    for one in sent:
        client.receive(one)
    settled(pod, pod.call("get"))
    assert pod.sh("env | grep ^N | sort").splitlines() == [f"{name}={name}" for name in names]


def test_a_patch_that_is_delivered_twice_is_one_change(client: Client, pod: Pod) -> None:
    """Also if another one came in between."""
    twice = {"hostname": "one"}
    first = client.receive(client.send("update", pod.id, twice, task_id="patch-twice"))
    assert first["changed"] == ["hostname"]
    pod.call("update", {"hostname": "two"})
    client.receive(client.send("update", pod.id, twice, task_id="patch-twice"))
    answer = settled(pod, pod.call("get"))
    assert (answer["spec"]["hostname"], answer["generation"]) == ("two", first["generation"] + 1)


def test_older_callers_give_up_paths_by_the_third_argument(app: Pod) -> None:
    app.sh("echo lost > /file")
    assert "/file" in app.client.error("update", app.id, {**APP, "hostname": "one"})
    answer = settled(app, app.call("update", {**APP, "hostname": "one"}, ["/file"]))
    assert (answer["phase"], answer["changed"]) == ("running", ["hostname"])
    assert app.sh("test -e /file || echo gone") == "gone"
