"""What follows from the shape of an image: where volumes go, and what does not fit. Tables, no Engine."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.layout import UNIVERSAL_VOLUMES
from tests.support.shapes import seen_shape
from tests.support.situations import (
    COPIED,
    IMAGE,
    OTHER_IMAGE,
    OWN,
    SYSTEM,
    asked_again,
    begun_pod,
    exited,
    layout,
    new_pod,
    pod,
    running,
    sees,
)
from worker.planner.container import spec_hash
from worker.planner.fold.fold import fold
from worker.planner.fold.results import ImageSeen
from worker.planner.plan import plan
from worker.planner.steps import LookAtImage
from worker.planner.volumes.fit import shape_problem
from worker.planner.volumes.mounts import Temporary, mount_points, recorded_paths
from worker.pods.layout import begun_layout, image_paths, looked_paths, missing_volumes, wanted_layout
from worker.pods.model import Phase, PinnedImage, Record, SystemMode, Volume
from worker.pods.shape import Folder, ImageShape, Kind, Look, next_look

NAMES: Final = {path: name for name, path in UNIVERSAL_VOLUMES}


def image(*volumes: str, image_id: str = IMAGE.id) -> PinnedImage:
    return PinnedImage(reference="image", id=image_id, volumes=volumes)


def mounted(
    links: Mapping[str, str],
    *volumes: str,
    run: tuple[Folder, ...] = (),
    own: tuple[Volume, ...] | None = None,
) -> dict[str, str]:
    """Return mount path to volume name of a new pod, with `tmpfs` for what is temporary."""
    wanted = image(*volumes)
    paths = (*image_paths(wanted), *(volume.path for volume in own or ()))
    shape = seen_shape(paths, links, run=run)
    record = new_pod(image=wanted)
    begun = own or begun_layout(record, {}, incarnation="one", shape=shape)
    mounts = mount_points(begun, wanted, shape)
    names = {path: volume.name for path, volume in mounts.volumes.items()}
    return names | dict.fromkeys((each.path for each in mounts.temporary), "tmpfs")


PLAIN: Final = {**NAMES, "/run": "tmpfs"}


@pytest.mark.parametrize(
    ("links", "volumes", "expected"),
    [
        pytest.param({}, (), {}, id="no link at all"),
        pytest.param(
            {"/home": "/var/home"}, (), {"/home": None, "/var/home": "home"}, id="at the real place"
        ),
        pytest.param({"/home": "/mnt"}, (), {"/home": None, "/mnt": "home"}, id="outside all volumes"),
        pytest.param({"/srv": "/home"}, (), {"/srv": None}, id="left to the one that has the place"),
        pytest.param(
            {"/opt": "/x", "/srv": "/x"}, (), {"/opt": None, "/srv": None, "/x": "opt"}, id="first one"
        ),
        pytest.param(
            {"/usr": "/system"},
            (),
            {"/usr/local": None, "/system/local": "usr-local"},
            id="a parent is a link",
        ),
        pytest.param({}, ("/data",), {"/data": "declared.data"}, id="a VOLUME"),
        pytest.param({"/run": "/var/run"}, (), {"/run": None, "/var/run": "tmpfs"}, id="/run is a link"),
        pytest.param(
            {"/data": "/var/lib/data"},
            ("/data",),
            {"/data": "declared.data", "/var/lib/data": "declared.data"},
            id="a VOLUME over a link is mounted at both",
        ),
        pytest.param({"/data": "/srv"}, ("/data",), {"/data": "srv"}, id="a VOLUME that is a volume of ours"),
        pytest.param(
            {"/home": "/var/home"},
            ("/home", "/home/db"),
            {
                "/home": "home",
                "/var/home": "home",
                "/home/db": "declared.home.db",
                "/var/home/db": "declared.home.db",
            },
            id="VOLUMEs at and below one",
        ),
        pytest.param(
            {"/a/data": "/srv"},
            ("/a/data", "/srv/db"),
            {"/a/data": "srv", "/a/data/db": "declared.srv.db", "/srv/db": "declared.srv.db"},
            id="what lies below is mounted above it again",
        ),
        pytest.param(
            {"/var/run": "/run"},
            ("/var/run/db",),
            {"/var/run/db": "tmpfs", "/run/db": "tmpfs"},
            id="a VOLUME in /run over a link",
        ),
    ],
)
def test_where_a_new_pod_mounts_what(
    links: dict[str, str], volumes: tuple[str, ...], expected: dict[str, str | None]
) -> None:
    wanted = {path: name for path, name in {**PLAIN, **expected}.items() if name is not None}
    assert mounted(links, *volumes) == wanted


PARTS: Final = st.sampled_from(["a", "b", "var", "home", "srv", "data"])
PATHS: Final = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, str], list[str]]:
    """Links, and VOLUMEs at them, below where they lead, and anywhere."""
    links = resolved(draw(st.dictionaries(PATHS, PATHS, min_size=1, max_size=3)))
    likely = [*links, *(f"{target}/below" for target in links.values()), "/var/data"]
    return links, draw(st.lists(st.sampled_from(likely) | PATHS, max_size=4))


@settings(max_examples=200)
@given(worlds(), st.randoms())
def test_no_order_of_mounts_of_equal_depth_hides_anything(
    world: tuple[dict[str, str], list[str]], seed: Any
) -> None:
    """As the Engine does it: by number of parts, then in any order; each mount follows the image's links."""
    links, volumes = world
    paths = image_paths(image(*volumes))
    shape = seen_shape(paths, links)
    if any(shape.place(path) in (None, "/") for path in paths):
        return
    expected = mounted(links, *volumes)
    order = list(expected.items())
    seed.shuffle(order)
    on_top: dict[str, str] = {}
    for path, name in sorted(order, key=lambda item: item[0].count("/")):
        place = shape.place(path) or path
        on_top = {p: n for p, n in on_top.items() if not p.startswith(f"{place}/")} | {place: name}
    assert on_top == {shape.place(path) or path: name for path, name in expected.items()}


def resolved(links: Mapping[str, str]) -> dict[str, str]:
    """Return links as the Engine reports them: resolved through all others, and none that leads to itself."""
    looks = ImageShape(looks={path: Look(kind=Kind.LINK, target=to) for path, to in links.items()})
    found = {}
    for path, target in links.items():
        place: str | None = target
        for _ in range(9):
            place = looks.place(place or "/")
        if place is not None and looks.place(place) == place and path == looks_parents(looks, path):
            found[path] = place
    return found


def looks_parents(looks: ImageShape, path: str) -> str:
    parent, _, name = path.rpartition("/")
    return f"{looks.place(parent) if parent else ''}/{name}"


def test_a_recorded_volume_follows_the_links_of_another_image() -> None:
    own = (*layout(declared=["/data"]),)
    found = mounted({"/home": "/var/home", "/data": "/mnt/data"}, own=own)
    assert (found["/var/home"], found["/mnt/data"]) == ("home", "declared.data")
    assert "/home" not in found


def test_below_a_volume_that_another_image_filled_no_link_of_the_image_counts() -> None:
    """The link is in the image's /var, and the pod has its own /var."""
    own = tuple(volume.evolve(image="sha256:old") for volume in layout(declared=["/var/lib/db"]))
    assert mounted({"/var/lib": "/srv/lib"}, "/var/lib/db", own=own)["/var/lib/db"] == "declared.var.lib.db"
    same = tuple(volume.evolve(image=IMAGE.id) for volume in own)
    found = mounted({"/var/lib": "/srv/lib"}, "/var/lib/db", own=same)
    assert found["/srv/lib/db"] == found["/var/lib/db"] == "declared.var.lib.db"


def test_a_rebuilt_record_has_each_volume_once_and_under_its_own_path() -> None:
    """From what a container mounts, which is at other places, or twice, if the image has links."""
    links = {"/home": "/var/home", "/z": "/a/z", "/data": "/var/data"}
    own = layout(declared=["/data", "/z"])
    found = mounted(links, "/data", "/z", own=own)
    for order in (1, -1):
        volumes = {path: name for path, name in sorted(found.items())[::order] if name != "tmpfs"}
        assert recorded_paths(volumes) == {volume.name: volume.path for volume in own}


def test_below_a_volume_that_is_itself_over_a_link_no_link_counts_either() -> None:
    own = layout(declared=["/home/db"])
    links = {"/home": "/mnt/home", "/mnt/home/db": "/srv/db"}
    assert mounted(links, own=own)["/mnt/home/db"] == "declared.home.db"
    own = layout(declared=["/x/db"])
    assert mounted({"/x": "/var/deep", "/var/deep/db": "/srv/db"}, own=own)["/var/deep/db"] == "declared.x.db"


def test_what_an_image_leads_into_run_stays_temporary_whoever_filled_var() -> None:
    found = mounted({"/var/run": "/run"}, "/var/run/db", own=layout())
    assert (found["/var/run/db"], found["/run/db"]) == ("tmpfs", "tmpfs")


def test_layers_stay_where_they_are_if_run_is_a_link() -> None:
    found = mounted({"/run": "/var/run"}, own=layout(system=SYSTEM))
    assert (found["/run/pinacle/system"], found["/var/run"]) == ("system", "tmpfs")


def test_of_two_old_volumes_at_one_place_the_same_one_is_mounted_always() -> None:
    assert mounted({"/home": "/srv"}, own=layout())["/srv"] == "srv"
    assert "/srv" not in mounted({"/srv": "/home"}, own=layout())
    assert mounted({"/srv": "/home"}, own=layout())["/home"] == "home"


RUN: Final = (
    Folder(path="/run", mode=0o755, uid=0, gid=0),
    Folder(path="/run/lock", mode=0o1777, uid=0, gid=0),
    Folder(path="/run/lock/own", mode=0o755, uid=0, gid=0),
    Folder(path="/run/db", mode=0o2775, uid=999, gid=998),
    Folder(path="/run/plain", mode=0o755, uid=0, gid=0),
    Folder(path="/run/plain/leaf", mode=0o755, uid=0, gid=0),
)


def test_run_has_the_directories_of_the_image_with_owners_and_modes() -> None:
    """And the VOLUME below it for which the image has no directory."""
    wanted = image("/run/db", "/run/new")
    shape = seen_shape(image_paths(wanted), run=RUN)
    assert mount_points((), wanted, shape).temporary == (
        Temporary(path="/run"),
        Temporary(path="/run/db", mode=0o2775, uid=999, gid=998),
        Temporary(path="/run/lock", mode=0o1777),
        Temporary(path="/run/lock/own"),
        Temporary(path="/run/new"),
        Temporary(path="/run/plain"),
        Temporary(path="/run/plain/leaf"),
    )


def test_what_a_pod_keeps_in_run_from_before_is_not_hidden() -> None:
    own = tuple(v.evolve(path="/run/lock") if v.name == "opt" else v for v in layout())
    found = mounted({}, run=RUN, own=own)
    assert found["/run/lock"] == "opt"
    assert "/run/lock/own" not in found


def problem(
    record: Record, other: PinnedImage = OTHER_IMAGE, links: Mapping[str, str] | None = None, **shape: Any
) -> str:
    asked = record.evolve(intent=record.intent.evolve(image=other), state=record.state.evolve(image=other))
    return shape_problem(asked, other, seen_shape(looked_paths(asked, other), links, **shape)) or ""


FULL: Final = ("/usr", "/bin", "/sbin", "/lib")
SEPARATE: Final = SYSTEM.evolve(directories=FULL)


@pytest.mark.parametrize(
    ("record", "links", "shape", "said"),
    [
        pytest.param(
            new_pod(), {"/opt": "/run/opt"}, {}, "/opt leads to /run/opt", id="new, never persisted"
        ),
        pytest.param(
            new_pod(), {"/home": "/tmp"}, {}, "/home leads to /tmp, where nothing is kept", id="in /tmp"
        ),
        pytest.param(new_pod(), {"/srv": "/"}, {}, "/srv leads to /, which", id="new, to the root"),
        pytest.param(new_pod(), {}, {"loops": ["/srv"]}, "/srv is a link that leads back", id="new, a loop"),
        pytest.param(new_pod(), {"/srv": "/f"}, {"files": ["/f"]}, "/srv is a file (/f)", id="new, a file"),
        pytest.param(new_pod(), {"/srv": "/home", "/opt": "/x"}, {}, "", id="new, links that lead somewhere"),
        pytest.param(pod(), {"/opt": "/run/opt"}, {}, "", id="an old pod, of which nothing else is known"),
        pytest.param(pod(), {}, {"loops": ["/srv"]}, "/srv is a link that leads back", id="old, a loop"),
        pytest.param(
            pod(system=SEPARATE), {"/opt": "/run/opt"}, {"directories": FULL}, "/opt leads", id="moved"
        ),
        pytest.param(
            pod(system=SEPARATE),
            {"/srv": "/home"},
            {"directories": FULL},
            "/home and /srv are volumes of the pod, and lead to one place (/home)",
            id="two volumes, one place",
        ),
        pytest.param(
            pod(system=SEPARATE), {"/home": "/var/home"}, {"directories": FULL}, "", id="moved, held"
        ),
        pytest.param(
            pod(system=SEPARATE),
            {"/bin": "/usr/bin", "/sbin": "/usr/sbin", "/lib": "/usr/lib"},
            {},
            "/bin, /sbin, /lib: directories in the pod's system volumes, and links in the image; allowed: an "
            "image of the same shape, such as image, or a new pod",
            id="merged since",
        ),
        pytest.param(
            begun_pod(system=SEPARATE), {"/bin": "/usr/bin"}, {}, "", id="nothing of the pod's is in /bin yet"
        ),
        pytest.param(
            pod(system=SYSTEM),
            {},
            {"directories": FULL},
            "/bin, /sbin, /lib: directories in the image",
            id="separate",
        ),
        pytest.param(
            pod(system=COPIED), {}, {"directories": FULL}, "/bin, /sbin, /lib: directories in", id="a copy"
        ),
        pytest.param(pod(system=SYSTEM), {}, {"directories": ("/usr", "/lib64")}, "", id="one more is fine"),
        pytest.param(pod(system=SYSTEM), {}, {"directories": ()}, "", id="none at all is fine"),
        pytest.param(
            pod(system=SYSTEM.evolve(mode=SystemMode.OFF)),
            {},
            {"directories": FULL},
            "",
            id="nothing of /usr",
        ),
    ],
)
def test_what_does_not_fit(record: Record, links: dict[str, str], shape: dict[str, Any], said: str) -> None:
    found = problem(record, links=links, **shape)
    assert said in found if said else found == ""


def test_the_image_that_system_directories_began_as_fits_them() -> None:
    assert problem(pod(system=SEPARATE), SEPARATE.image, {"/bin": "/usr/bin"}) == ""


def test_what_fitted_when_the_pod_began_fits_for_ever() -> None:
    own = tuple(volume.evolve(image=OTHER_IMAGE.id) for volume in layout())
    links = {"/opt": "/run/opt", "/srv": "/home"}
    assert problem(pod(layout=own), links=links) == ""
    moved = tuple(volume.evolve(image=IMAGE.id) for volume in layout())
    assert "/opt leads to /run/opt" in problem(pod(layout=moved), links=links)


def test_looks_follow_links_and_stop_at_what_is_no_directory() -> None:
    world = {
        "/home": Look(kind=Kind.LINK, target="/var/home"),
        "/var": Look(kind=Kind.DIRECTORY),
        "/var/home": Look(kind=Kind.DIRECTORY),
        "/var/home/db": Look(kind=Kind.FILE),
        "/loop": Look(kind=Kind.LOOP),
    }
    shape, looked = ImageShape(), []
    while (path := next_look(shape, ["/home/db/deep", "/loop/deep", "/gone/deep"])) is not None:
        looked.append(path)
        shape = shape.seen(path, world.get(path, Look(kind=Kind.MISSING)))
    assert looked == ["/home", "/var/home", "/var/home/db", "/loop", "/gone"]
    assert shape.place("/home/db/deep") == "/var/home/db/deep"
    assert shape.place("/loop/deep") is None


def test_a_pod_with_a_path_left_to_another_is_whole() -> None:
    """Noted when its volumes are begun, and after a rebuild once its image was looked at."""
    shape = seen_shape(image_paths(IMAGE), {"/srv": "/home"})
    own = tuple(volume for volume in layout() if volume.name != "srv")
    record = pod(layout=own)
    assert missing_volumes(record, own, None).keys() == {"/srv"}
    seen = sees(running(), shapes={})(record)
    (look,) = plan(record, seen, 0.0, OWN).steps
    assert isinstance(look, LookAtImage)
    record, seen = fold(record, seen, look, ImageSeen(shape), 0.0)
    assert record.state.whole_for == IMAGE.id
    assert plan(record, seen.evolve(shapes={}), 0.0, OWN).phase is Phase.RUNNING


def test_a_container_that_is_as_asked_for_needs_no_look() -> None:
    for record, view in ((pod(), running()), (pod(), exited()), (asked_again(), exited())):
        steps = plan(record, sees(view, shapes={})(record), 0.0, OWN).steps
        assert not any(isinstance(step, LookAtImage) for step in steps)


def test_the_shape_is_no_part_of_a_containers_digest() -> None:
    """What an older worker made stays as it is."""
    record = pod()
    later = record.evolve(
        state=record.state.evolve(
            whole_for=IMAGE.id, layout=tuple(v.evolve(image=IMAGE.id) for v in record.state.layout)
        )
    )
    assert spec_hash(record) == spec_hash(later)
    assert wanted_layout((), None, seen_shape(image_paths(IMAGE))) == wanted_layout(())


def test_of_very_many_directories_in_run_those_that_hold_others_come_first() -> None:
    """And the layers' own place is no volume in which anything of the image could be."""
    deep = tuple(Folder(path=f"/run/a/{n:03}", mode=0o755, uid=0, gid=0) for n in range(80))
    flat = tuple(Folder(path=f"/run/z{n:03}", mode=0o755, uid=0, gid=0) for n in range(80))
    inside = Folder(path="/run/pinacle/system/x", mode=0o755, uid=0, gid=0)
    shape = seen_shape(looked_paths(pod(), IMAGE), run=(inside, *deep, *flat))
    found = {each.path for each in mount_points(pod(system=SYSTEM).state.layout, IMAGE, shape).temporary}
    assert {each.path for each in flat} <= found
    few = seen_shape(looked_paths(pod(), IMAGE), run=(inside,))
    assert inside.path in {
        each.path for each in mount_points(pod(system=SYSTEM).state.layout, IMAGE, few).temporary
    }
