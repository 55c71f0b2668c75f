"""Images whose file system has another shape: links at volumes' paths, merged /usr, content in /run."""

from typing import Any, Final

import pytest

from tests.support.pods import Pod
from worker.local.client import Client
from worker.local.images import Folder, import_busybox
from worker.local.private_engine import PrivateEngine

pytestmark = pytest.mark.usefixtures("busybox")

OSTREE: Final = {
    "home": "var/home",
    "root": "var/roothome",
    "opt": "/var/opt",
    "srv": "var/srv",
    "usr/local": "../var/usrlocal",
}
"""Relative and absolute links; of the places only /var/home is there, as on systems of this kind."""
LINKED: Final = {
    **OSTREE,
    "data": "var/lib/data",
    "a": "b",
    "b": "srv/deep",
    "var/nested": "lib/data/inner",
}
"""VOLUMEs over links: to a place in a volume, over a chain of links, and into another VOLUME."""
STARTS: Final = 20


def spec(image: str, **more: Any) -> dict[str, Any]:
    return {"image": image, "stop_timeout_s": 1, **more}


def make_linked(engine: PrivateEngine, name: str = "pinacle-linked") -> str:
    return import_busybox(
        engine,
        name,
        links=LINKED,
        folders=[Folder("var/home"), Folder("var/srv"), Folder("var/lib/data"), Folder("var/lib/data/inner")],
        files={"var/home/seed": b"from the image\n", "var/lib/data/inner/seed": b"inner\n"},
        changes=("VOLUME /data", "VOLUME /a/db", "VOLUME /var/nested", "VOLUME /home"),
    )


def make_merged(engine: PrivateEngine, name: str = "pinacle-merged") -> str:
    return import_busybox(
        engine, name, links={"bin": "usr/bin", "lib": "usr/lib"}, folders=[Folder("usr/lib")]
    )


def anonymous(engine: PrivateEngine) -> list[str]:
    return [n for n in engine.docker("volume", "ls", "-q").split() if not n.startswith("pinacle-")]


def start_again(pod: Pod, number: int) -> None:
    """In turns, the container is lost, or it is stopped and started."""
    if number % 2:
        pod.call("stop")
        assert pod.call("start")["phase"] == "running"
    else:
        pod.lose_container()
        assert pod.call("restart")["phase"] == "running"


def test_what_is_in_directories_that_are_links_is_there_after_every_start(
    client: Client, engine: PrivateEngine
) -> None:
    """Twenty starts in a row: if a volume were mounted over a link, data would be there only sometimes."""
    places = ("/home", "/root", "/opt", "/srv", "/usr/local", "/var", "/data", "/a/db", "/var/nested")
    with Pod.running(client, engine, "linked", spec(make_linked(engine))) as pod:
        assert pod.sh("cat /home/seed /var/nested/seed") == "from the image\ninner"
        for place in places:
            pod.sh(f"echo {place} > {place}/mine")
        pod.sh("rm /home/seed")
        for number in range(STARTS):
            start_again(pod, number)
            found = pod.sh(f"cat {' '.join(f'{place}/mine' for place in places)}; ls /home/seed 2>&1 || true")
            assert found.split("\n")[: len(places)] == list(places), number
            assert "No such file" in found
        assert anonymous(engine) == []
        assert pod.sh("cat /var/home/mine /var/lib/data/mine /var/lib/data/inner/mine") == (
            "/home\n/data\n/var/nested"
        )


def test_paths_that_are_one_place_have_one_volume(client: Client, engine: PrivateEngine) -> None:
    """The volume stays with the path that has it, whatever is done to the pod."""
    image = import_busybox(engine, "pinacle-one-place", links={"srv": "home", "opt": "/srv"})
    with Pod.running(client, engine, "one-place", spec(image)) as pod:
        pod.sh("echo kept > /opt/file")
        names = engine.docker("volume", "ls", "-q").split()
        assert "pinacle-vol-one-place-home" in names
        assert not {"pinacle-vol-one-place-srv", "pinacle-vol-one-place-opt"} & set(names)
        for number in range(6):
            start_again(pod, number)
            assert pod.sh("cat /home/file /srv/file") == "kept\nkept"
        before = pod.container_id()
        assert pod.call("restart")["phase"] == "running"
        assert pod.container_id() == before


@pytest.mark.parametrize(
    ("links", "files", "said"),
    [
        ({"opt": "/run/opt"}, {}, "/opt leads to /run/opt, where nothing is kept"),
        ({"home": "dev/shm"}, {}, "/home leads to /dev/shm, where nothing is kept"),
        ({"srv": "loop", "loop": "srv"}, {}, "/srv is a link that leads back to itself"),
        ({"srv": "/"}, {}, "/srv leads to /, which cannot be a volume"),
        ({"srv": "etc/file"}, {"etc/file": b"x"}, "/srv is a file (/etc/file)"),
    ],
)
def test_what_cannot_hold_a_volume_is_refused_before_anything_is_made(
    client: Client,
    engine: PrivateEngine,
    links: dict[str, str],
    files: dict[str, bytes],
    said: str,
) -> None:
    image = import_busybox(engine, "pinacle-refused", links=links, files=files)
    assert said in client.error("create", "refused", spec(image))
    assert "pinacle-vol-refused" not in engine.docker("volume", "ls", "-q")
    assert "refused" not in {pod["pod_id"] for pod in client.call("list")["pods"]}


@pytest.mark.parametrize("merged_first", [False, True])
def test_an_update_between_merged_and_separate_usr_is_refused(
    client: Client, engine: PrivateEngine, merged_first: bool
) -> None:
    """The pod's own /bin and /lib would hide /usr/bin and /usr/lib of the image, or the other way round."""
    merged = make_merged(engine)
    first, second = (merged, "pinacle-busybox") if merged_first else ("pinacle-busybox", merged)
    with Pod.running(client, engine, "merge", spec(first)) as pod:
        pod.sh("echo kept > /home/file")
        before = pod.container_id()
        said = client.error("update", pod.id, spec(second))
        assert "/bin, /lib: directories in the" in said
        assert "allowed: an image of the same shape" in said
        assert (pod.call("get")["phase"], pod.container_id()) == ("running", before)
        assert pod.sh("cat /home/file") == "kept"


def test_an_update_that_makes_a_directory_a_link_carries_its_files_along(
    client: Client, engine: PrivateEngine
) -> None:
    """And back again: they are where the image has the directory."""
    linked = import_busybox(engine, "pinacle-moved", links={"home": "var/home", "srv": "/mnt/srv"})
    with Pod.running(client, engine, "moves", spec("pinacle-busybox")) as pod:
        pod.sh("echo home > /home/file; echo srv > /srv/file")
        assert pod.call("update", spec(linked))["phase"] == "running"
        assert pod.sh("cat /home/file /var/home/file /srv/file /mnt/srv/file") == "home\nhome\nsrv\nsrv"
        assert pod.call("update", spec("pinacle-busybox"))["phase"] == "running"
        assert pod.sh("cat /home/file /srv/file") == "home\nsrv"
        assert not [name for name in engine.docker("volume", "ls", "-q").split() if "moves-declared" in name]


def test_an_update_that_leads_two_volumes_to_one_place_is_refused(
    client: Client, engine: PrivateEngine
) -> None:
    image = import_busybox(engine, "pinacle-both", links={"srv": "home"})
    with Pod.running(client, engine, "both", spec("pinacle-busybox")) as pod:
        before = pod.container_id()
        said = client.error("update", pod.id, spec(image))
        assert "/home and /srv are volumes of the pod, and lead to one place" in said
        assert pod.container_id() == before


RUN: Final = (
    Folder("run/sshd"),
    Folder("run/mysqld", 0o2775, 999, 998),
    Folder("run/lock", 0o1777),
    Folder("run/lock/deep", 0o700, 5, 6),
    Folder("run/plain/inner"),
)


def test_run_is_as_the_image_has_it_at_each_start(client: Client, engine: PrivateEngine) -> None:
    """Including owners, modes and VOLUMEs below it; what was written there is gone."""
    image = import_busybox(
        engine,
        "pinacle-run",
        folders=[Folder("run/plain"), *RUN],
        links={"var/run": "../run"},
        changes=("VOLUME /run/mysqld", "VOLUME /var/run/sshd"),
    )
    expected = [
        "/run/sshd 755 0:0",
        "/run/mysqld 2775 999:998",
        "/run/lock 1777 0:0",
        "/run/lock/deep 700 5:6",
        "/run/plain 755 0:0",
        "/run/plain/inner 755 0:0",
    ]
    look = "stat -c '%n %a %u:%g' /run/sshd /run/mysqld /run/lock /run/lock/deep /run/plain /run/plain/inner"
    with Pod.running(client, engine, "run", spec(image)) as pod:
        for number in range(4):
            assert pod.sh(look).split("\n") == expected
            assert pod.sh("find /run -type f | grep -v ^/run/pinacle || true") == ""
            pod.sh("touch /run/file /run/sshd/file /run/mysqld/file /run/lock/file; chmod 700 /run/lock")
            start_again(pod, number)
        assert anonymous(engine) == []
